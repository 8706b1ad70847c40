"""Whether an alert's blocks are in the languages they declare, as far as that can be told without knowing any: by script, and by
two languages that say the very same.

A slip here sends people a text they can't read under the name of their own language. It is told of in the preview, not refused.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from clients.core.cap import Alert, Info
from clients.core.composition import DRILL

CYRILLIC, ARABIC, HAN, LATIN = "CYRILLIC", "ARABIC", "CJK", "LATIN"
SCRIPTS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(["ar", "fa", "ur", "ps", "ckb", "ug"], (ARABIC,)),
    **dict.fromkeys(["ru", "uk", "be", "bg", "mk", "kk", "ky", "mn", "tg"], (CYRILLIC,)),
    **dict.fromkeys(["sr", "uz", "az"], (CYRILLIC, LATIN)),
    **dict.fromkeys(["hi", "mr", "ne"], ("DEVANAGARI",)),
    "zh": (HAN,),
    "ja": ("HIRAGANA", "KATAKANA", HAN),
    "ko": ("HANGUL", HAN),
    "he": ("HEBREW",),
    "yi": ("HEBREW",),
    "el": ("GREEK",),
    "hy": ("ARMENIAN",),
    "ka": ("GEORGIAN",),
    "am": ("ETHIOPIC",),
    "ti": ("ETHIOPIC",),
    "th": ("THAI",),
    "km": ("KHMER",),
    "lo": ("LAO",),
    "my": ("MYANMAR",),
    "si": ("SINHALA",),
    "bn": ("BENGALI",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "pa": ("GURMUKHI", ARABIC),
    "dv": ("THAANA",),
}
"""The scripts of languages that are not written in Latin letters; any other tag stands for Latin."""
LEAST: Final = 0.5  # of a text's letters that are in a script of its language: names may be in another


def misdeclared(alert: Alert) -> Iterator[str]:
    """What looks as if a block were in another language than it says, in words."""
    seen: dict[str, Info] = {}
    for info in alert.infos:
        said = f"{info.headline} {info.description} {info.instruction}".strip() or info.event
        scripts = SCRIPTS.get(info.language.lower().split("-")[0], (LATIN,))
        if share(said.replace(DRILL, ""), scripts) < LEAST:
            yield f"the text declared as {info.language} is not written in that language's letters"
        other = seen.setdefault(said, info)
        if other.language.lower() != info.language.lower():
            yield f"the {info.language} text is the {other.language} one word for word: was it translated?"


def share(text: str, scripts: tuple[str, ...]) -> float:
    """How many of a text's letters belong to these scripts; 1 for a text without letters."""
    names = [unicodedata.name(character, "") for character in text if character.isalpha()]
    return sum(name.startswith(scripts) for name in names) / len(names) if names else 1.0
