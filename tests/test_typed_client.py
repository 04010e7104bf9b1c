"""A typed client, generated from the document that is served, compiles and works."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.node import FOLDER, MODULES, Node
from tests.support.server import Server


def test_a_generated_client_is_type_checked_and_does_the_flow(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    node = Node(tmp_path)
    origin = f"http://127.0.0.1:{serve().port}"
    generator = MODULES / "openapi-typescript" / "bin" / "cli.js"
    node.run(generator, f"{origin}/openapi.json", "--output", "keyturn.ts")
    for name in ("client.ts", "tsconfig.json"):
        shutil.copy(FOLDER / name, tmp_path)
    node.run(MODULES / "typescript" / "bin" / "tsc")
    assert node.run("client.js", origin) == "done\n"
