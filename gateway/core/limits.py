"""Every bound of the gateway, by name."""

from typing import Final

CLOCK_AHEAD: Final = 5 * 60_000  # ms that a device's clock may be ahead of ours; alerts are never refused for it
GRACE_LIMIT: Final = 3_600_000  # ms, whatever the class says
KEY_PACKAGES_PER_DEVICE: Final = 200  # kept for one device and suite
KEY_PACKAGES_LOW: Final = 5  # below this the owner is told
KEY_PACKAGE_LIFE: Final = 90 * 86_400  # s
CLAIMS_PER_HOUR: Final = 1_000  # KeyPackages that one device may claim
MEMBERS_PER_CHANNEL: Final = 5_000
CHANNELS_PER_DEVICE: Final = 256
PENDING_ENROLMENTS: Final = 64  # listed at once
INVITE_LIFE: Final = 7 * 86_400_000  # ms
OPEN_UPLOADS: Final = 32  # bodies that one device may have half put
UPLOAD_LIFE: Final = 86_400_000  # ms until a half put body is dropped
LISTED: Final = 256  # rows in one answer
CERTIFICATES_LISTED: Final = 64
CERTIFICATE_DEPTH: Final = 16  # approvers of approvers
RECEIPT_SPAN: Final = 10_000  # seqs that one receipt may cover
BATCH: Final = 512  # decisions in one transaction
BATCH_BYTES: Final = 8 * 1024 * 1024
EMERGENCY_RESERVE: Final = 4 * 1024 * 1024  # bytes on disk, given up for alerts when it is full
DISK_RETRY: Final = 5_000  # ms
