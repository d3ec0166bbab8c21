"""The settings of a stack: what they default to, how they are kept, what they refuse."""

from pathlib import Path

import pytest

from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import postgres
from microblog.stack.sizing import sized


def test_the_main_stack_has_fixed_ports(tmp_path: Path) -> None:
    main = Settings.create(root=tmp_path)
    assert (main.port, main.pg_port, main.pooler_port) == (8080, 5442, 6442)
    assert (main.rest_ports, main.rest_admin_ports) == ([8110], [8210])
    assert main.url == "http://127.0.0.1:8080"


def test_other_stacks_get_ports_of_their_own(tmp_path: Path) -> None:
    other = Settings.create("other", root=tmp_path, instances=2)
    ports = [other.port, other.pg_port, other.pooler_port]
    ports += other.rest_ports + other.rest_admin_ports
    assert len(set(ports)) == 7
    assert not set(ports) & {8080, 5442, 6442, 8110, 8210}


def test_saved_settings_come_back(tmp_path: Path) -> None:
    made = Settings.create("kept", root=tmp_path, instances=3, pooled=True, fsync=False)
    made.save()
    assert Settings.load("kept", root=tmp_path) == made


def test_the_stack_is_chosen_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROBLOG_STACK", "chosen")
    assert Settings.load(root=tmp_path).stack == "chosen"
    assert Settings.load("named", root=tmp_path).stack == "named"


def test_more_instances_keep_the_ports_of_those_there_are(tmp_path: Path) -> None:
    one = Settings.create("grows", root=tmp_path)
    three = one.changed(instances=3, pooled=None)
    assert three.rest_ports[:1] == one.rest_ports
    assert len(set(three.rest_ports + three.rest_admin_ports)) == 6
    assert three.changed(instances=1) == one


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "..", "x" * 32, "a b"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="name for a stack"):
        Settings(stack=name)


@pytest.mark.parametrize("sizes", [{"instances": 0}, {"instances": 65}, {"workers": -1}])
def test_sizes_out_of_range_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(StackError, match="instances must be"):
        Settings(**sizes)  # type: ignore[arg-type]


def test_a_spoilt_file_is_named(tmp_path: Path) -> None:
    spoilt = Settings.create("spoilt", root=tmp_path)
    spoilt.save()
    spoilt.file.write_text("{")
    with pytest.raises(StackError, match=r"settings\.json cannot be read"):
        Settings.load("spoilt", root=tmp_path)


def test_a_path_too_long_for_sockets_is_refused_with_its_length(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 40)
    with pytest.raises(StackError, match="limit is 107") as refused:
        _ = Settings.create("deep", root=deep).socket_dir
    assert "shorter path" in refused.value.hint


def test_memory_is_shared_out_by_the_machines_size() -> None:
    small, large = sized(1024, 1), sized(65536, 16)
    assert small["shared_buffers"] == "256MB"
    assert large["shared_buffers"] == "8192MB"
    assert large["effective_cache_size"] == "39321MB"
    assert small["max_parallel_workers_per_gather"] == 0
    assert large["max_parallel_workers_per_gather"] == 4


def test_durability_is_given_up_only_when_asked(tmp_path_factory: pytest.TempPathFactory) -> None:
    durable = Settings.create("durable", root=tmp_path_factory.mktemp("short"))
    assert "fsync" not in postgres.configuration(durable)
    assert "fsync = 'off'" in postgres.configuration(durable.changed(fsync=False))
