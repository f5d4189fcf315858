"""Laws by the names that are typed: those of the register, and printed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genret_core.errors import BadInput

if TYPE_CHECKING:
    from genret_core.scaling import Law
    from genret_core.scaling.published import PublishedLaw


def law_named(name: str, flag: str = "--law") -> Law:
    """Give the law of that name.

    Raises
    ------
    BadInput
        With code `bad_option`.
    """
    from genret_core.scaling import get_law

    try:
        return get_law(name)
    except BadInput as error:
        raise BadInput(f"{flag}: {error}", code="bad_option") from None


def laws_named(names: str) -> list[Law]:
    """Give several laws, in the order of their names `a,b,c`.

    Raises
    ------
    BadInput
        With code `bad_option`.
    """
    found = [law_named(name, "--laws") for name in dict.fromkeys(names.replace(" ", "").split(",")) if name]
    if not found:
        raise BadInput("--laws names none; write names with commas between.", code="bad_option")
    return found


def printed_laws(name: str | None) -> tuple[PublishedLaw, ...]:
    """Find the printed laws of that name; without one, none.

    Raises
    ------
    BadInput
        With code `bad_option`.
    """
    if name is None:
        return ()
    from genret_core.scaling.published import find

    try:
        return find(name)
    except BadInput as error:
        raise BadInput(f"--published: {error}", code="bad_option") from None


def printed_law(name: str | None) -> PublishedLaw | None:
    """Find the one printed law of that name.

    Raises
    ------
    BadInput
        With code `bad_option`, also if the name is that of several.
    """
    found = printed_laws(name)
    if len(found) > 1:
        names = ", ".join(law.id for law in found)
        raise BadInput(f"--published {name} is {len(found)} laws; choose one of {names}.", code="bad_option")
    return found[0] if found else None
