"""Adding, listing and removing the users of a site."""

from __future__ import annotations

from typing import Any, NamedTuple

from Products.ERP5Wendelin.content.path import check_reference
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotFound
from Products.ERP5Wendelin.portal.business_template.shipped import shipped, shipped_names

ROLES = {"contributor": "Contributor", "downloader": "Downloader", "manager": "Manager"}
"""What the command line calls a role -> its name in Zope."""

PASSWORD_LENGTH = 8
"""The fewest characters of a password."""

PASSWORD_SIZE = 72
"""The most bytes of a password: bcrypt reads no more."""

NAME_LENGTH = 100


class User(NamedTuple):
    """A user of the site, with the role's name as the command line has it."""

    name: str
    role: str


def add_user(site: Any, name: str, role: str, password: str) -> User:
    """Add a user.

    BadInput for a name, role or password that will not do; Conflict if there is a user of this name, or if the site
    lacks the business template that brings the role.
    """
    _check_name(name)
    _check_password(password)
    if role not in ROLES:
        raise BadInput(f"There is no role {role!r}. Roles are: {', '.join(ROLES)}.")
    if name in _users(site).listUserIds():
        raise Conflict(f"There is a user {name!r} already. Remove it first, or choose another name.")
    if ROLES[role] not in site.acl_users.roles.listRoleIds():
        raise Conflict(f"The site has no {role}s. {_how_to_get(ROLES[role])}")
    _users(site).addUser(name, name, password)
    site.acl_users.roles.assignRoleToPrincipal(ROLES[role], name)
    return User(name, role)


def list_users(site: Any) -> list[User]:
    """The users by name."""
    return [User(name, _role_of(site, name)) for name in sorted(_users(site).listUserIds())]


def remove_user(site: Any, name: str) -> None:
    """Remove a user, with role and tokens; what they have pushed stays. NotFound if there is none of this name."""
    if name not in _users(site).listUserIds():
        raise NotFound(f"There is no user {name!r}.")
    for role in ROLES.values():
        site.acl_users.roles.removeRoleFromPrincipal(role, name)
    _users(site).removeUser(name)
    site.acl_users.access_tokens.removeUser(name)


def _how_to_get(role: str) -> str:
    item = ("RoleTemplateItem", role)
    for name in shipped_names():
        if any((found.kind, found.path) == item for found in shipped(name).items):
            return f"The business template {name} brings them: wendelin bt5 install DIR {name}"
    return f"Install a business template that brings the role {role}."


def _users(site: Any) -> Any:
    return site.acl_users.users


def _role_of(site: Any, name: str) -> str:
    held = site.acl_users.roles.getRolesForPrincipal(site.acl_users.getUserById(name))
    return next((role for role, title in ROLES.items() if title in held), "")


def _check_name(name: str) -> None:
    try:
        check_reference(name)
    except BadInput:
        raise BadInput(
            f"{name!r} cannot be a user's name: no slashes, control characters, or white space at an end."
        ) from None
    if ":" in name:
        raise BadInput(f"{name!r} cannot be a user's name: HTTP Basic authentication ends the name at a colon.")
    if len(name) > NAME_LENGTH:
        raise BadInput(f"A user's name has at most {NAME_LENGTH} characters.")


def _check_password(password: str) -> None:
    if len(password) < PASSWORD_LENGTH:
        raise BadInput(f"The password is too short: it needs at least {PASSWORD_LENGTH} characters.")
    if len(password.encode()) > PASSWORD_SIZE:
        raise BadInput(f"The password is too long: at most {PASSWORD_SIZE} bytes in UTF-8.")
    if not password.isprintable():
        raise BadInput("The password has a control character, such as a line end.")
