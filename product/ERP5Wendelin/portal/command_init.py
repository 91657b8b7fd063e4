"""`wendelin init`: make an instance."""

from __future__ import annotations

import argparse
import secrets
import shlex
from functools import partial
from typing import Any

from Products.ERP5Wendelin.content.site import SITE, enter_site
from Products.ERP5Wendelin.portal.command_password import read_password_file
from Products.ERP5Wendelin.portal.instance import Instance, create
from Products.ERP5Wendelin.portal.setup import make_site
from Products.ERP5Wendelin.portal.users import add_user


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("init", help="make an instance", description="Make an instance in DIR.")
    parser.add_argument("directory", metavar="DIR", help="new or empty directory; holds everything, unless --storage")
    parser.add_argument(
        "--storage",
        metavar="URI",
        help="where the data goes: file:///…/Data.fs (default: var/Data.fs in DIR), zeo://HOST:PORT, neo://…,"
        " postgresql://… or mysql://…; a site that is there already is served as it is",
    )
    parser.add_argument("--admin-user", metavar="NAME", default="admin", help="the first manager (default: admin)")
    parser.add_argument(
        "--admin-password-file",
        metavar="FILE",
        help="first line: the manager's password (default: a random one, printed and kept in DIR/etc/admin-password)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    password = read_password_file(arguments.admin_password_file) if arguments.admin_password_file else None
    instance = create(arguments.directory, arguments.storage, partial(populate, arguments.admin_user, password))
    print(f"Made the instance {instance.directory}")
    if instance.admin_password.exists():
        print(f"Manager:  {arguments.admin_user}")
        print(f"Password: {read_password_file(str(instance.admin_password))}")
        print(f"          kept in {instance.admin_password}, which only you can read")
    elif password is not None:
        print(f"Manager:  {arguments.admin_user}, with the password of {arguments.admin_password_file}")
    else:
        print("The storage has a site already: its users are as they were.")
    print(f"Serve it with: wendelin serve {shlex.quote(arguments.directory)}")


def populate(user: str, password: str | None, instance: Instance, app: Any) -> None:
    """Make the site and its first manager; write the password down if it is made up here.

    A storage may hold a site already, where several servers share a storage: it stays as it is.
    """
    if app.hasObject(SITE):
        site = enter_site(app)
    else:
        site = make_site(app)
        if password is None:
            password = secrets.token_urlsafe(15)
            instance.admin_password.write_text(password + "\n", encoding="utf-8")
    if password is not None:
        add_user(site, user, "manager", password)
