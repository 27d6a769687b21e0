"""What every test may ask for."""

from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

# A slow machine is no fault of the code; what failed once is printed so that it can be repeated.
hypothesis.settings.register_profile("lastcall", deadline=None, print_blob=True)
hypothesis.settings.load_profile("lastcall")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of test data that is too large to keep here; skips where it doesn't exist."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "the shared test data (shared/data beside the repository) is not on this machine"
        )
    return folder
