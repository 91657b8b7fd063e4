"""The text files in a template's `bt/`: one property each, lists with one value a line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from Products.ERP5Wendelin.portal.business_template.files import Files
from Products.ERP5Wendelin.portal.business_template.template import Dependency, Metadata, Template, TemplateError

FORMAT_VERSIONS = ("1", "3")
"""Values of `template_format_version`. Both of ERP5's have the same files."""

TEXTS = ("title", "version", "description", "license", "change_log", "template_format_version")
LISTS = ("copyright_list", "maintainer_list", "provision_list")
DEPENDENCIES = ("dependency_list", "test_dependency_list")

IGNORED = frozenset(
    {
        "revision",
        "template_keep_path_list",
        "template_keep_workflow_path_list",
        "template_keep_last_workflow_history_only_path_list",
    }
)
"""What tells ERP5's own export and upgrade what to keep; here an upgrade keeps whatever an administrator changed."""

_DEPENDENCY = re.compile(r"(?P<name>[\w.-]+)(?: *\( *(?P<operator><<|<=|=|>=|>>|<|>) *(?P<version>[\w.-]{1,40}) *\))?")
_COMPARE = {
    "<<": lambda a, b: a < b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    ">>": lambda a, b: a > b,
}


def read_metadata(files: Files, list_names: Iterable[str]) -> Metadata:
    """What `bt/` says. TemplateError: no title, a property nobody knows, a dependency that can't be understood.

    `list_names`: the lists of items that a template may have, such as 'template_path_list'.
    """
    list_names = set(list_names)
    values: dict = {"item_lists": {}}
    for path in files.below("bt"):
        name = path.removeprefix("bt/")
        if name in TEXTS:
            values[name] = files.text(path).strip()
        elif name in LISTS:
            values[name] = _lines(files, path)
        elif name in DEPENDENCIES:
            values[name] = tuple(_dependency(line, files.name(path)) for line in _lines(files, path))
        elif name in list_names:
            values["item_lists"][name] = _lines(files, path)
        elif name in IGNORED:
            files.read(path)
        else:
            raise TemplateError(
                "Templates have no such property, or this lake does not support the objects it lists.", files.name(path)
            )
    if not values.get("title"):
        raise TemplateError("A template needs a title.", files.name("bt/title"))
    metadata = Metadata(**values)
    if metadata.template_format_version not in FORMAT_VERSIONS:
        raise TemplateError(
            f"Format {metadata.template_format_version!r} is not supported; there are: {', '.join(FORMAT_VERSIONS)}.",
            files.name("bt/template_format_version"),
        )
    return metadata


def check_dependencies(template: Template, available: Iterable[Metadata]) -> None:
    """TemplateError if none of `available` is, or provides, what a template depends on."""
    available = list(available)
    for dependency in unmet_dependencies(template.metadata, available):
        other = next((metadata.version for metadata in available if metadata.title == dependency.name), None)
        what = "which is not there" if other is None else f"and here is {other or 'one without a version'}"
        raise TemplateError(
            f"It needs {dependency}, {what}. Install that first.", f"{template.name}/bt/dependency_list"
        )


def unmet_dependencies(template: Metadata, available: Iterable[Metadata]) -> list[Dependency]:
    """What a template depends on, and none of `available` is or provides."""
    available = list(available)
    return [
        dependency
        for dependency in template.dependency_list
        if not any(_satisfies(metadata, dependency) for metadata in available)
    ]


def depends_on(template: Metadata, other: Metadata) -> bool:
    """Whether one of a template's dependencies is met by another template."""
    return any(_satisfies(other, dependency) for dependency in template.dependency_list)


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """What versions are compared by: numbers as numbers, anything else as text, before numbers."""
    parts = re.findall(r"[0-9]{1,40}|[^0-9.]+", version)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _satisfies(metadata: Metadata, dependency: Dependency) -> bool:
    if dependency.name in metadata.provision_list:
        return True
    if dependency.name != metadata.title:
        return False
    compare = _COMPARE.get(dependency.operator)
    return compare is None or compare(version_key(metadata.version), version_key(dependency.version))


def _dependency(line: str, file: str) -> Dependency:
    match = _DEPENDENCY.fullmatch(line)
    if match is None:
        raise TemplateError(f"{line!r} is not a dependency; write them as `name` or `name (>= 1.0)`.", file)
    return Dependency(match["name"], match["operator"] or "", match["version"] or "")


def _lines(files: Files, path: str) -> tuple[str, ...]:
    # exports of ERP5 have some lines twice
    return tuple(dict.fromkeys(line.strip() for line in files.text(path).splitlines() if line.strip()))
