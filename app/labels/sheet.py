"""What stands around the labels of the labelling page, for every room that has labels decided there."""

from dataclasses import dataclass
from urllib.parse import urlencode

from app.images.narrowing import EVERYTHING, Narrowing


@dataclass(frozen=True)
class Filter:
    """The images that one came from: the wall's filter, its words, and the labels it asks for."""

    show: str = "all"
    words: str = ""
    narrowing: Narrowing = EVERYTHING

    @property
    def address(self) -> str:
        """The same as the end of an address; empty for all images."""
        if self.show == "all" and not self.words and not self.narrowing:
            return ""
        parts = [urlencode({"show": self.show, "words": self.words}), self.narrowing.query]
        return "?" + "&".join(each for each in parts if each)


@dataclass(frozen=True)
class Sheet:
    """Where the page sends what the hands do, and what it offers besides.

    `id` names the image to the page's scripts, and ends the address `here`. `api` takes a key and a polarity
    behind it. Where an address is empty there is no such thing: no queue that keeps the image, no history, no
    suggestions that could be shown or hidden.
    """

    id: str
    here: str
    back: str
    back_to: str
    save: str
    done: str
    undo: str
    api: str
    takeback: str
    mark: str
    shown: str = ""
    hold: str = ""
    history: str = ""
    suggestions: str = ""
    note: str = ""
    open_word: str = "proposed"
