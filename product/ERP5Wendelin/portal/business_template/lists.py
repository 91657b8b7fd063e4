"""The lists that follow from a template's files, and the list of all templates; `tools/bt5` writes them.

`bt/template_…_list` names a template's items, one kind a list. `bt5list`, in the folder of all templates, says in XML
what each of them is, so that a program can tell without reading them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.portal.business_template.files import Files
from Products.ERP5Wendelin.portal.business_template.kinds import KINDS
from Products.ERP5Wendelin.portal.business_template.metadata import read_metadata
from Products.ERP5Wendelin.portal.business_template.reader import lines_of, read_items
from Products.ERP5Wendelin.portal.business_template.template import Metadata


def written(root: Path) -> dict[Path, str]:
    """File -> what is to be in it, for all lists of the templates in a folder. TemplateError: one can't be read."""
    lists: dict[Path, str] = {}
    metadata = []
    for directory in _templates(root):
        files = Files(directory)
        items = read_items(files)
        for kind in KINDS.values():
            lines = sorted(lines_of(kind, [item for item in items if item.kind == kind.name]))
            if lines:
                lists[directory / "bt" / kind.list_name] = "".join(f"{line}\n" for line in lines)
        metadata.append(read_metadata(files, (kind.list_name for kind in KINDS.values())))
    lists[root / "bt5list"] = bt5list(metadata)
    return lists


def bt5list(templates: Iterable[Metadata]) -> str:
    """What a folder's templates are, as XML in ERP5's format."""
    lines = ['<?xml version="1.0"?>', "<repository>"]
    for metadata in templates:
        lines.append(f"  <template id={quoteattr(metadata.title)}>")
        for name, values in (
            ("copyright", metadata.copyright_list),
            ("dependency", metadata.dependency_list),
            ("description", (metadata.description,)),
            ("license", (metadata.license,)),
            ("provision", metadata.provision_list),
            ("title", (metadata.title,)),
            ("version", (metadata.version,)),
        ):
            lines += [f"    <{name}>{escape(str(value))}</{name}>" for value in values]
        lines.append("  </template>")
    return "\n".join([*lines, "</repository>", ""])


def main(arguments: Sequence[str]) -> int:
    """`tools/bt5 [--check]`: write the lists in bt5/, or say which of them are not as they would be written."""
    check = "--check" in arguments
    root = Path("bt5")
    try:
        lists = written(root)
    except WendelinError as error:
        print(error, file=sys.stderr)
        return 1
    stale = {path for path in _lists(root) if path not in lists}
    changed = [path for path, text in lists.items() if not path.exists() or path.read_text() != text]
    for path in sorted({*changed, *stale}):
        print(path)
    if not check:
        for path in changed:
            path.write_text(lists[path])
        for path in stale:
            path.unlink()
    return 1 if check and (changed or stale) else 0


def _templates(root: Path) -> list[Path]:
    return sorted(title.parent.parent for title in root.glob("*/bt/title"))


def _lists(root: Path) -> list[Path]:
    names = {kind.list_name for kind in KINDS.values()}
    return [path for directory in _templates(root) for path in (directory / "bt").iterdir() if path.name in names]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
