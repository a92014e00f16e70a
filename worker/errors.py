"""The project's exceptions, one root and few children, and how to put other errors into words. Imports nothing.

Every message is a sentence for the person who will read it; the facts stand as attributes, `code` is for machines
and `hint` says what to do about it.
"""


class BabeliaError(Exception):
    """Root of everything that the library refuses or cannot do."""

    code = "error"
    hint = ""
    heading = ""
    """What stands above the sentence on a page; where it is empty, what is said of every refusal of its kind."""
    retry_after: int | None = None
    """Seconds after which it is worth asking again, where that is known."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class KeyRefused(BabeliaError):
    """A text, file or arrays that are not a key.

    `position`: 1-based place of the first foreign character in the text as given, `length`: how many characters or
    bytes were found (white space not counted).
    """

    code = "key_refused"
    hint = "A key is 189,436 characters of A–Z a–z 0–9 - _, copied whole."

    def __init__(
        self, message: str, *, position: int | None = None, length: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.position = position
        self.length = length


class AddressRefused(BabeliaError):
    """A text that is no address."""

    code = "address_refused"
    hint = "Addresses look like pocket-1/prompt/a dog/1 or pocket-1/key/borges/1."


class EditionRefused(BabeliaError):
    """An edition that is unknown, badly described or not installed."""

    code = "edition_refused"


class WeightsRefused(BabeliaError):
    """Weights that are missing, damaged, unsafe or of another shape than the key needs."""

    code = "weights_refused"


class InputRefused(BabeliaError):
    """A number, prompt, file or folder given by a person that cannot be used."""

    code = "input_refused"


class PageHidden(BabeliaError):
    """A page that the keepers of this library have hidden."""

    code = "page_hidden"
    hint = "The others are still there."

    def __init__(self, message: str = "The keeper of this library has taken this picture down.") -> None:
        super().__init__(message)


class StoreUnavailable(BabeliaError):
    """Redis or the disk does not answer."""

    code = "store_unavailable"
    hint = "Try again in a moment."


class LibraryBusy(BabeliaError):
    """So many pages wait that no more are taken."""

    code = "busy"
    hint = "Ask again in a moment."


class TooMany(BabeliaError):
    """More than one visitor may ask for, in a minute or at once."""

    code = "too_many"
    hint = "Try again in a minute."


class PrintFailed(BabeliaError):
    """The press tried to print a page and could not."""

    code = "print_failed"


def reason(error: Exception) -> str:
    """Why an operation failed, in words: "No space left on device"."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
