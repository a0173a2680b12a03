import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from resource_files import Files
from small_cloud import SmallCloud


@pytest.fixture
def files(tmp_path):
    (tmp_path / "files").mkdir()
    return Files(tmp_path / "files")


@pytest.fixture
def small():
    with SmallCloud() as cloud:
        yield cloud
