"""The registers that the operator has connected in ``stadtpass.toml``."""

from __future__ import annotations

from pathlib import Path

from issuer.configuration import SourcesConfig
from issuer.rules.sources.protocols import Away, Sources
from issuer.rules.sources.residents_file import ResidentsFile
from issuer.rules.sources.vehicles_file import VehiclesFile


def connected_sources(config: SourcesConfig, folder: Path) -> Sources:
    """The sources that ``[sources]`` names; relative paths are inside the data folder ``folder``.

    The files need not be there: then the source is away. Made once and kept, it reads a file only when that has
    changed (`issuer.application.Application.sources`).
    """
    return Sources(
        ResidentsFile(folder / config.residents) if config.residents else Away(),
        VehiclesFile(folder / config.vehicles) if config.vehicles else Away(),
    )
