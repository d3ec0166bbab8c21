"""What a test of the harness needs that ``bin/setup`` alone does not install."""

import shutil

import pytest

from microblog.bench import redis_peer

needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk: bin/setup --bench installs it")
needs_redis = pytest.mark.skipif(
    not redis_peer.binary(), reason="Redis: bin/setup --bench installs it"
)
needs_vegeta = pytest.mark.skipif(not shutil.which("vegeta"), reason="vegeta is not installed")
