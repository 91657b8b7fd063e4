"""`wendelin user add`, `list`, `remove`: who may use an instance, and as what."""

from __future__ import annotations

import argparse
from typing import Any

from Products.ERP5Wendelin.content.site import enter_site
from Products.ERP5Wendelin.portal.command_password import ask_password, read_password_file
from Products.ERP5Wendelin.portal.instance import find, perform
from Products.ERP5Wendelin.portal.users import ROLES, add_user, list_users, remove_user


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("user", help="add, list and remove users", description="Who may use an instance.")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    add = verbs.add_parser(
        "add",
        help="add a user",
        description="Add a user: a contributor pushes data sets, a downloader reads them, a manager administers.",
    )
    add.add_argument("directory", metavar="DIR", help="the instance")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=list(ROLES), required=True)
    add.add_argument(
        "--password-file",
        metavar="FILE",
        help="its first line is the password; - is standard input (default: asked for)",
    )
    add.set_defaults(run=run_add)

    listing = verbs.add_parser("list", help="list users", description="Print a line a user: name, tabulator, role.")
    listing.add_argument("directory", metavar="DIR", help="the instance")
    listing.set_defaults(run=run_list)

    remove = verbs.add_parser("remove", help="remove a user", description="Remove a user; what they pushed stays.")
    remove.add_argument("directory", metavar="DIR", help="the instance")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=run_remove)


def run_add(arguments: argparse.Namespace) -> None:
    instance = find(arguments.directory)
    password = read_password_file(arguments.password_file) if arguments.password_file else ask_password(arguments.name)
    perform(instance, lambda app: add_user(enter_site(app), arguments.name, arguments.role, password))
    print(f"Added {arguments.name}, {arguments.role}")


def run_list(arguments: argparse.Namespace) -> None:
    for name, role in perform(find(arguments.directory), lambda app: list_users(enter_site(app))):
        print(f"{name}\t{role}")


def run_remove(arguments: argparse.Namespace) -> None:
    perform(find(arguments.directory), lambda app: remove_user(enter_site(app), arguments.name))
    print(f"Removed {arguments.name}")
