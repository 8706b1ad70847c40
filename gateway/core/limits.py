"""Every bound of the gateway, by name."""

from typing import Final

CLOCK_AHEAD: Final = 5 * 60_000  # ms that a device's clock may be ahead of ours; alerts are never refused for it
GRACE_LIMIT: Final = 3_600_000  # ms, whatever the class says
KEY_PACKAGES_PER_DEVICE: Final = 200  # kept for one device and suite
KEY_PACKAGES_LOW: Final = 5  # below this the owner is told
CLAIMS_PER_HOUR: Final = 1_000  # KeyPackages that one device may claim
CLAIMS_OF_ONE: Final = 60  # of them, of one other device
MEMBERS_PER_CHANNEL: Final = 5_000
PROPOSALS_PER_EPOCH: Final = 128  # kept in one channel until a commit
CHANNELS_PER_DEVICE: Final = 256
PENDING_ENROLMENTS: Final = 64  # listed at once
INVITE_LIFE: Final = 7 * 86_400_000  # ms; a grant is listed for as long after it
INVITES_OPEN: Final = 256  # that one organisation's registrars may have out
OPEN_UPLOADS: Final = 32  # bodies that one device may have half put
OPEN_BYTES: Final = 64 * 1024 * 1024  # of bodies that one device has put and that no envelope has named yet
UPLOAD_LIFE: Final = 86_400_000  # ms until such a body is dropped
RUN_BYTES: Final = 16 * 1024 * 1024  # of all bodies of a run together
ANSWER_BYTES: Final = 60 * 1024  # of what is listed in one answer, so that it fits its frame
LISTED: Final = 256  # rows in one answer
FETCHED: Final = 256  # seqs of a stream that are sent again at once
CERTIFICATES_LISTED: Final = 64
CERTIFICATE_DEPTH: Final = 16  # approvers of approvers
RECEIPT_SPAN: Final = 10_000  # seqs that one receipt may cover
BATCH: Final = 512  # decisions in one transaction
PATIENT: Final = 128  # of receipts and answers, besides: ten thousand at once hold up nobody else
BATCH_BYTES: Final = 8 * 1024 * 1024
EMERGENCY_RESERVE: Final = 4 * 1024 * 1024  # bytes on disk, given up for alerts when it is full
APPROVAL_LATE: Final = 3_600_000  # ms after its deadline that an alert approved in time is still taken
ATTEMPTS_NOTED: Final = 16  # refused alerts that the log tells of in a minute
ATTEMPTS_OF_ONE: Final = 3  # of them, of one device
DISCLOSURES_A_DAY: Final = 50  # that one auditor may ask for
SWEPT_AT_ONCE: Final = 512  # bodies destroyed in one transaction
ORDERED_AT_ONCE: Final = 4_096  # places that one order may name
DISK_RETRY: Final = 5_000  # ms
