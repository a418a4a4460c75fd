"""Checks compose files against the Compose Specification: their paths."""
import pathlib, sys
from compose_spec import PyCompose, PyOptions

for path in sys.argv[1:]:
    options = PyOptions(apply_merge=True)
    compose = options.from_yaml(pathlib.Path(path).read_text())
    compose.validate()
    print(f"{path}: {', '.join(compose.service_names())}")
