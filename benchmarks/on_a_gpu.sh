#!/usr/bin/env bash
# All that is to be seen on a machine with an NVIDIA GPU, in at most eight minutes: benchmarks/on_a_gpu.sh [DIRECTORY]
# Runs this checkout, installed or not, with the python3 that is active, and needs no network. One part that fails or
# exceeds its time keeps no other from running; the exit code is 1 then, and DIRECTORY/summary.txt says which. TIMES=4
# gives each part four times as long. DEVICE=cpu RECIPE=gpt_tiny tries the script without a GPU.
set -uo pipefail
results=$(realpath -m "${1:-gpu_results}")
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

device=${DEVICE:-cuda}
mkdir -p "$results"
export GPTKIT_CACHE="$results/cache"
failed=0

# part NAME SECONDS COMMAND…: runs it with its output in NAME.txt, and says how it went.
part() {
  local name=$1 seconds=$(($2 * ${TIMES:-1})) began=$SECONDS code
  shift 2
  timeout --kill-after=2 "$seconds" "$@" > "$results/$name.txt" 2>&1
  code=$?
  ((code == 0)) || failed=1
  printf '%-10s exit %d after %d s of %d\n' "$name" "$code" $((SECONDS - began)) "$seconds" |
    tee -a "$results/summary.txt"
}

# What the other parts import; fails, with their names, if some are missing.
packages() {
  python3 - <<'PROGRAM'
import importlib.metadata, platform, re, sys, tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
tools = [each for each in project["optional-dependencies"]["dev"] if re.match("pytest|beartype", each)]
missing = []
for requirement in [*project["dependencies"], *tools]:
    name = re.match(r"[\w-]+", requirement).group()
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        missing.append(requirement)
print("Python", platform.python_version())
sys.exit(f"missing: {', '.join(missing)}" if missing else 0)
PROGRAM
}

facts() {
  git describe --always --dirty
  if [[ $device == cuda ]]; then nvidia-smi; fi
  python3 -m torch.utils.collect_env
}

# Runs RECIPE with a profile: profiled NAME [KEY=VALUE]…
profiled() {
  local name=$1
  shift
  rm -rf "${results:?}/$name"
  python3 benchmarks/profile_training.py "${RECIPE:-gpt_small}" "$results/$name" train.max_iters=200 \
    "train.device=$device" "$@"
}

# The contract of every built-in that computes on a device, eight at a time.
contracts() {
  local kind
  for kind in attention feed_forward norm position block optimizer; do
    python3 -m gptkit components list "$kind" --json | grep -oP '^    "name": "\K\w+'
  done | sort -u | xargs -P 8 -I NAME bash -c \
    'python3 -m gptkit check NAME --device "$device" > "$results/contract_NAME.txt" 2>&1 || { echo NAME; exit 1; }'
}
export -f packages facts contracts profiled
export results device

: > "$results/summary.txt"
part packages 10 bash -c packages
part facts 20 bash -c facts
part tests 95 python3 -m pytest -m cuda -n 8
part contracts 80 bash -c contracts
part training 30 bash -c 'profiled training train.compile=false'
part compiled 70 bash -c 'profiled compiled train.compile=true'
part attention 85 python3 -m pytest benchmarks/test_attention.py --benchmark --repeats 3 -n 0 "--benchmark-json=$results/attention.json"
part decoding 70 python3 -m pytest benchmarks/test_decoding.py --benchmark --repeats 3 -n 0 "--benchmark-json=$results/decoding.json"
exit $failed
