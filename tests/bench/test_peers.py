"""The comparison with JaxMARL follows JaxMARL's configuration. Made-up numbers; JaxMARL is not needed."""

import argparse
import json
import os
from types import SimpleNamespace

import pytest

import comity
from comity.bench import measure, peers

IPPO = {
    "NUM_ENVS": 16, "NUM_STEPS": 128, "LR": 5e-4, "GAMMA": 0.99, "MAX_GRAD_NORM": 0.5, "FC_DIM_SIZE": 96,
    "GRU_HIDDEN_DIM": 128, "UPDATE_EPOCHS": 4, "NUM_MINIBATCHES": 2, "GAE_LAMBDA": 0.95, "CLIP_EPS": 0.3,
    "SCALE_CLIP_EPS": False, "ENT_COEF": 0.01, "VF_COEF": 0.7,
}  # fmt: skip
QMIX = {
    "NUM_ENVS": 8, "NUM_STEPS": 26, "LR": 0.005, "GAMMA": 0.9, "MAX_GRAD_NORM": 25, "BUFFER_SIZE": 5000,
    "BUFFER_BATCH_SIZE": 32, "HIDDEN_SIZE": 64, "EPS_START": 1.0, "EPS_FINISH": 0.05, "EPS_DECAY": 0.1,
    "TARGET_UPDATE_INTERVAL": 200, "TAU": 1.0, "NUM_EPOCHS": 1, "LEARNING_STARTS": 10_000, "LR_LINEAR_DECAY": True,
    "MIXER_EMBEDDING_DIM": 24, "MIXER_HYPERNET_HIDDEN_DIM": 48,
}  # fmt: skip
VDN = {name: value for name, value in QMIX.items() if not name.startswith("MIXER")}
CONFIGS = {"ippo": IPPO, "vdn": VDN, "qmix": QMIX}


@pytest.mark.parametrize("name", CONFIGS)
def test_comitys_learner_can_be_made_of_the_configuration(name):
    config = peers.needed(name, {**CONFIGS[name], "ENV_NAME": "MPE_simple_spread_v3", "SEED": 3})
    assert config == CONFIGS[name]
    learner = comity.algorithm(name, "sound", **peers.settings(name, 300_000, config))
    assert learner.learning_rate == config["LR"]
    assert learner.gamma == config["GAMMA"]


def test_numbers_of_ppo_are_the_peers():
    learner = comity.algorithm("ippo", "sound", **peers.settings("ippo", 300_000, IPPO))
    assert (learner.steps, learner.chunk, learner.epochs, learner.minibatches) == (128, 128, 4, 2)
    assert (learner.encoder, learner.hidden, learner.trunk, learner.value_coefficient) == ((96,), 128, "shared", 0.7)
    assert (learner.clip, learner.actor_clip, learner.lambda_, learner.entropy_coefficient) == (0.3, 0.5, 0.95, 0.01)
    scaled = peers.settings("ippo", 300_000, {**IPPO, "SCALE_CLIP_EPS": True, "NUM_STEPS": 64})
    assert (scaled["clip"], scaled["steps"]) == (pytest.approx(0.1), 64)


def test_numbers_of_q_learners_are_the_peers():
    learner = comity.algorithm("qmix", "sound", **peers.settings("qmix", 300_000, QMIX))
    assert (learner.mixer_width, learner.mixer_hidden, learner.batch, learner.capacity) == (24, 48, 32, 5_000)
    assert learner.warmup == 49 * 8  # the first whole rollouts with 10,000 steps
    assert learner.learning_rate_steps == 1_442
    assert learner.explore_steps == pytest.approx(0.1 * 1_442 * 26)
    assert learner.last_learning_rate < 1e-9
    held = peers.settings("vdn", 300_000, {**VDN, "LR_LINEAR_DECAY": False, "NUM_ENVS": 4})
    assert (held["last_learning_rate"], held["warmup"], held["learning_rate_steps"]) == (0.005, 97 * 4, 2_884)


def test_steps_are_those_of_whole_rollouts():
    assert peers.updates(IPPO, 300_000) == 146
    assert peers.played_steps(IPPO, 300_000) == 146 * 16 * 128
    assert peers.played_steps({**IPPO, "NUM_ENVS": 24}, 300_000) == 297_984


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("ippo", {"NUM_ENVS": None, "VF_COEF": None}, "configuration of ippo has no NUM_ENVS, VF_COEF any more"),
        ("vdn", {"NUM_STEPS": 128}, "vdn plays 128 steps a rollout, comity's episodes of 26"),
    ],
)
def test_what_cannot_be_matched_ends_in_one_line(name, change, told):
    config = {key: value for key, value in {**CONFIGS[name], **change}.items() if value is not None}
    with pytest.raises(SystemExit, match=told):
        peers.needed(name, config)


def test_comity_is_set_by_what_jaxmarl_read_for_the_same_seed(monkeypatch, tmp_path, capsys):
    asked = []

    def in_process(arguments, python):
        asked.append((python, list(map(str, arguments))))
        side, what, seed = arguments[2], arguments[3], arguments[5]
        config = {"config": {**IPPO, "NUM_ENVS": 16 + seed}} if side == "jaxmarl" and what == "ippo" else {}
        numbers = dict.fromkeys(("rate", "return", "error", "env_steps", "train_cpu", "mflop", "sampled"), 1.0 + seed)
        numbers |= dict.fromkeys(("compile_cpu", "compile_wall", "parameters"), 1.0)
        return {"side": side, "what": what, "seed": seed, **numbers, **config, "versions": {}}

    monkeypatch.setattr(measure, "in_process", in_process)
    peers.against("other", tmp_path, ["play", "ippo"], 2, 300_000, tmp_path / "kept.jsonl")
    sides = [(python == "other", words) for python, words in asked]
    for theirs, words in sides:
        assert ("--config" in words) == (not theirs and "ippo" in words)
    given = [json.loads(words[words.index("--config") + 1]) for theirs, words in sides if "--config" in words]
    assert [config["NUM_ENVS"] for config in given] == [16, 17]
    shown = capsys.readouterr()
    assert "IPPO: env steps per CPU s" in shown.out
    told = [line.strip() for line in shown.err.splitlines()]
    assert told[0] == "measuring play32 of jaxmarl, seed 0 (1 of 12)"
    assert told[-1] == "measuring ippo of comity, seed 1 (12 of 12), ETA 0 s"
    assert len(told) == len(asked) == 12


def test_both_sides_run_on_the_cpu_whose_time_is_measured(monkeypatch, capsys):
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(peers, "beside", lambda name: SimpleNamespace(pin=lambda cores: None))
    monkeypatch.setattr(peers, "part", lambda given: {"side": given.part[0], "platforms": os.environ["JAX_PLATFORMS"]})
    for side in ("comity", "jaxmarl"):
        monkeypatch.setattr("sys.argv", ["peers.py", "--part", side, "play32"])
        peers.main()
        assert json.loads(capsys.readouterr().out) == {"side": side, "platforms": "cpu"}


def test_a_training_without_a_configuration_is_refused():
    given = argparse.Namespace(part=("comity", "ippo"), config=None, steps=1, seed=0)
    with pytest.raises(SystemExit, match="give --config"):
        peers.part(given)
