"""The road by mail (RFC 5321), through the operator's mail server.

The text stands in the subject and in the body. Message-ID is made of the notice's name, so a mail that is sent again after a
crash is the same mail to whoever sorts by it (RFC 5322 section 3.6.4); Auto-Submitted keeps holiday answers away (RFC 3834).
The standard library's client blocks, so each road of this kind has threads of its own.
"""

import asyncio
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from gateway.core.notices import Result, Tried
from gateway.roads.base import Message, RoadRefused
from gateway.roads.settings import SmtpSettings, SmtpTls, is_mail_address

THREADS: Final = 4
PERMANENT: Final = 500  # RFC 5321 section 4.2.1: 5yz is for good


class SmtpRoad:
    """`base.Road` by mail. Raises RoadRefused where the password or the authorities can't be read."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._password = _secret(settings.password) if settings.password else ""
        self._context = _context(settings)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"road-{settings.name}")

    @property
    def name(self) -> str:
        return self._settings.name

    async def send(self, message: Message) -> Result:
        if not is_mail_address(message.address):
            return Result(Tried.REFUSED, "the address is no mail address")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, message)

    def _send(self, message: Message) -> Result:
        try:
            with self._connect() as server:
                server.sendmail(self._settings.sender, [message.address], written(message, self._settings.sender))
        except smtplib.SMTPRecipientsRefused as refused:
            [(code, _)] = refused.recipients.values()
            return _said(code, "the recipient")
        except smtplib.SMTPAuthenticationError as refused:
            return Result(Tried.LATER, f"the mail server refuses the password: {refused.smtp_code}")
        except smtplib.SMTPResponseException as refused:  # what the server says besides its code may quote the address
            return _said(refused.smtp_code, "the mail")
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return Result(Tried.LATER, f"the mail server can't be reached: {type(error).__name__}")
        return Result(Tried.SENT)

    def _connect(self) -> smtplib.SMTP:
        s = self._settings
        if s.tls is SmtpTls.TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(s.host, s.port, timeout=s.timeout, context=self._context)
        else:
            server = smtplib.SMTP(s.host, s.port, timeout=s.timeout)
        try:
            if s.tls is SmtpTls.STARTTLS:
                server.starttls(context=self._context)  # raises where the server has none: never in the clear instead
            if s.user:
                server.login(s.user, self._password)
        except BaseException:
            server.close()
            raise
        return server

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _said(code: int, what: str) -> Result:
    refused = code >= PERMANENT
    return Result(Tried.REFUSED if refused else Tried.LATER, f"the mail server refuses {what}: {code}")


def written(message: Message, sender: str) -> bytes:
    """The mail."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, message.address, message.text
    mail["Date"] = format_datetime(message.moment)
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))


def _context(settings: SmtpSettings) -> ssl.SSLContext | None:
    if settings.tls is SmtpTls.NONE:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca)
    except (OSError, ssl.SSLError) as error:
        raise RoadRefused(f"roads.{settings.name}: ca: {settings.ca}: {error}") from None


def _secret(path: Path) -> str:
    try:
        return path.read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RoadRefused(f"{path}: {error}") from None
