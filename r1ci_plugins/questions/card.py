"""The card of a data set, its README.md: what is inside, and what it was made from."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """What a data set is made from. A folder with an equal one need not be made again.

    Attributes:
        recipe: The resolved recipe, YAML.
        command: The command line that makes it.
        versions: Packages, plugins and packs, as readable lines.
        sources: A hash of each pack's source, by name.
    """

    recipe: str
    command: str
    versions: Sequence[str]
    sources: Mapping[str, str]

    def to_json(self) -> str:
        """Contents of ``build.json``. The command is for people and is left out: another one may make the same."""
        values = {"recipe": self.recipe, "versions": list(self.versions), "sources": dict(self.sources)}
        return json.dumps(values, indent=2) + "\n"


def data_card(
    name: str,
    *,
    front: Mapping[str, Any],
    splits: Collection[str],
    summary: Sequence[str],
    notes: Sequence[str],
    tables: Sequence[str],
    provenance: Provenance,
) -> str:
    """A data set's README. With it, ``datasets.load_dataset(FOLDER)`` and an upload to the hub work.

    Its front matter for the hub also gets the name, and the splits' files ``data/<split>-*.parquet``. Summary and
    tables are lines of Markdown; notes say what a user should know besides, one sentence each.
    """
    import yaml

    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    configs = [{"config_name": "default", "data_files": files}]
    header = yaml.safe_dump({"pretty_name": name, **front, "configs": configs}, sort_keys=False)
    lines = ["---", header.rstrip(), "---", "", f"# {name}", "", *summary, ""]
    if notes:
        lines += [*(f"- {note}" for note in notes), ""]
    lines += [*tables, "", "Made by", "", f"    {provenance.command}", "", "with", ""]
    lines += [*(f"- {line}" for line in provenance.versions), "", "from the recipe", ""]
    lines += ["```yaml", provenance.recipe.rstrip(), "```"]
    return "\n".join(lines) + "\n"
