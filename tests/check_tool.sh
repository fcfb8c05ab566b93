#!/usr/bin/env bash
# The xtape command as people use it: a run with log and picture, and every wrong use with one clear
# line, exit code 2 and nothing written. Usage: check_tool.sh XTAPE [CXX]
set -u
tool=$1 cxx=${2:-c++}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0

check() { # what, condition (already evaluated: 0 is true)
  if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
says() { # exit code, text, arguments…: runs, compares code and standard error
  local code=$1 text=$2
  shift 2
  "$tool" "$@" >out 2>err
  local got=$?
  [ $got = "$code" ] || { echo "  exit $got, wanted $code: $*"; cat err; }
  check "exit $code: $*" "$([ $got = "$code" ]; echo $?)"
  check "says '$text': $*" "$(grep -qF -- "$text" err out; echo $?)"
  [ "$code" != 2 ] || check "starts with xtape: $*" "$(head -c 7 err | grep -q '^xtape: '; echo $?)"
}

says 0 'test accuracy: ' train --data digits --epochs 8 --log run.jsonl --picture run.svg
check 'a line per epoch' "$([ "$(grep -c '^epoch' out)" = 8 ]; echo $?)"
check 'nothing but lines in a pipe' "$(grep -q $'\r' out err; [ $? = 1 ]; echo $?)"
check 'ten log lines' "$([ "$(wc -l <run.jsonl)" = 10 ]; echo $?)"
check 'log lines are JSON objects' "$(! grep -qv '^{.*}$' run.jsonl; echo $?)"
check 'the picture is whole' "$(tail -n 1 run.svg | grep -q '</svg>'; echo $?)"
cp out first
says 0 'test accuracy: ' train --data digits --epochs 8
check 'the same seed, the same run' \
  "$(diff <(sed 's/[0-9.]* s$//' first | grep ^epoch) <(sed 's/[0-9.]* s$//' out | grep ^epoch) >/dev/null; echo $?)"
says 0 'test accuracy: ' train --data digits --epochs 2 --optimizer adam --schedule cosine --clip 1 --early-stopping 2 --checkpoint kept
check 'a checkpoint is kept' "$(ls kept/*/checkpoint-*.safetensors >/dev/null 2>&1; echo $?)"
says 0 'test accuracy: ' train --data digits --epochs 3 --optimizer adam --schedule cosine --clip 1 --early-stopping 2 --checkpoint kept
for i in $(seq 40); do echo "$i,$((i * 7 % 5)),$((i % 2))"; done >forty.csv
says 0 'test accuracy: ' train --data csv:forty.csv --epochs 1 --checkpoint split
says 1 "differ in 'data'" train --data csv:forty.csv --epochs 2 --seed 1 --checkpoint split
says 0 'test accuracy: ' train --data digits --epochs 3 --optimizer adamw
cp out decayed
says 0 'test accuracy: ' train --data digits --epochs 3 --optimizer adamw --weight-decay 0
check "adamw decays the weights unless told otherwise" "$(diff <(grep -o 'loss [0-9.]*' decayed) <(grep -o 'loss [0-9.]*' out) >/dev/null; [ $? = 1 ]; echo $?)"
for i in $(seq 60); do echo "$((i % 7 - 3)),$((i * 5 % 11 - 5)),$(((i % 7 - 3) * 2 > i * 5 % 11 - 5))"; done >half.csv
says 0 'test accuracy: 100.00%' train --data csv:half.csv --net '2 dense:1' --loss bce_logits --lr 1 --epochs 3
says 2 'nope' train --optimizer nope --log never.jsonl
says 2 'is for --optimizer sgd' train --data digits --optimizer adam --momentum 0.9 --log never.jsonl
says 0 'best: restart' train --data digits --epochs 1 --restarts 3 --full-batch --dtype f64 --quiet
printf 'x = input:1x8x8\na = conv2d:4:3:padding=1 (x)\nb = conv2d:4:1 (x)\ns = add (a, b)\nr = relu (s)\np = maxpool2d:2 (r)\nf = flatten (p)\nd = dropout:0.1 (f)\ny = dense:10 (d)\n' >graph.txt
says 0 'test accuracy: ' train --data digits --epochs 2 --net graph.txt
says 0 '0 wrong' gradcheck --net '1x6x6 conv2d:2:3 batchnorm tanh flatten dense:2'
says 0 '0 wrong' gradcheck --net '3 neurons:relu,tanh,sigmoid dense:2' --order 2
says 0 '0 wrong' gradcheck --net '2 dense:3 sigmoid dense:1 sigmoid' --loss bce
says 0 'kink' gradcheck --net '2 dense:3:nobias relu dense:2' --init zeros

says 0 '(dloss/dsigmoid3:0,0)(dsigmoid3:0,0/dDense2:0,0)(dDense2:0,0/dsigmoid1:0,0)(dsigmoid1:0,0/dDense0:0,0)(dDense0:0,0/d0.weight:0,1)' \
  explain --input 0.05,0.1 --target 0.01,0.99 --of 0.weight:0,1 --json why.json --svg why.svg --dot why.dot
check 'the drawings are whole' "$(tail -n 1 why.svg | grep -q '</svg>' && grep -q '^digraph' why.dot && grep -q paths why.json; echo $?)"
says 0 'dloss/dinput:0,1' explain --of input
says 0 '100 %  loss <- sigmoid3 <- Dense2 <- sigmoid1 <- Dense0 <- 0.weight' explain --layers
says 2 "'nope' is not one of input, 0.weight" explain --of nope
says 0 'dloss/dinput:0,1' explain --of input:1
says 2 "(0,) is no element of '0.weight', whose shape is" explain --of 0.weight:0
says 2 '3 numbers, the network has 2' explain --input 1,2,3
says 2 "'x' is no number" explain --input 1,x

says 2 'draws the paths to one element' explain --layers --svg never.svg
says 2 'draws the paths to one element' explain --of 0.weight --svg never.svg
says 2 'must be whole numbers' explain --of 0.weight:0.7,0
says 2 '8192 elements: name one of them' explain --net '64 dense:128 relu dense:10' --target 1,0,0,0,0,0,0,0,0,0
says 0 'the sum of 1 path' explain --net '2 dense:3 dropout:0.5 batchnorm dense:1' --input 1,1 --target 0 --of 0.weight:0,0 --paths 3
deep='64 dense:64 sigmoid dense:64 sigmoid dense:64 sigmoid dense:64 sigmoid dense:64 sigmoid dense:64 sigmoid dense:64 sigmoid dense:10'
says 1 'vanishing gradient: 0 (Dense(64 → 64))' diagnose --net "$deep" --json sick.json --svg sick.svg
check 'the diagnosis is whole' "$(tail -n 1 sick.svg | grep -q '</svg>' && grep -q '"vanishing gradient"' sick.json; echo $?)"
says 0 'no findings' diagnose --net '64 dense:128 relu dense:64 relu dense:10' --init he_normal --lr 0.1
says 1 'equal neurons: 0.weight' diagnose --net '64 dense:8 relu dense:10' --init constant:0.1
says 1 'about 1e-3 is usual' diagnose --lr 100
says 2 'begin with 64' diagnose --net '3 dense:10' --json never.json
says 2 'from 1' diagnose --samples 0

# An exported header, compiled as a user would, gives what the network gave, bit by bit.
compiled() { # name: the header and program that were written for it
  says 0 "namespace $1, " export "${@:2}" --out "$1.hpp" --check "$1.cpp"
  $cxx -std=c++17 -O2 -Wall -Wextra -Werror "$1.cpp" -o "$1"
  check "the header of $1 gives the network's bits" "$(./"$1" | grep -qx '8 samples, 0 differ'; echo $?)"
}
sed 's/^s = .*/&\nn = batchnorm (s)/; s/^r = relu (s)/r = relu (n)/' graph.txt >normal.txt
says 0 'weights: net.safetensors' train --data digits --epochs 2 --net normal.txt --save net.safetensors
compiled graph net.safetensors
says 1 'large update' diagnose --weights net.safetensors --lr 100
check 'it is the kept network' "$(grep -q 'BatchNorm' out; echo $?)"
says 0 '100 %' explain --weights net.safetensors --loss cross_entropy --layers --of 0.a.weight
says 0 'namespace same' export net.safetensors --out other.hpp --name same
check 'the same network, the same header' "$(diff <(sed 's/namespace graph/namespace same/' graph.hpp) other.hpp >/dev/null; echo $?)"
sed 's/0x1\.\([0-9a-f]*\)p-3F/0x1.\1p-2F/' graph.hpp >changed.hpp
sed 's/graph.hpp/changed.hpp/' graph.cpp >changed.cpp
$cxx -std=c++17 changed.cpp -o changed
check 'another weight is found' "$(./changed | grep -q ' 0 differ'; [ $? = 1 ]; echo $?)"
says 0 'weights: ' train --data digits --epochs 1 --net '64 dense:10' --dtype f64 --save wide.safetensors
compiled wide wide.safetensors
compiled resumed "$(ls kept/*/checkpoint-*.safetensors | head -n 1)"
LC_ALL=C sed 's/"network"/"netw0rk"/' net.safetensors >nameless.safetensors
says 2 'does not say which network it holds' export nameless.safetensors --out never.hpp
says 2 '[nameless.safetensors] does not fit' export nameless.safetensors --net '64 dense:10' --out never.hpp
for kept in net.safetensors "$(ls kept/*/checkpoint-*.safetensors | head -n 1)"; do
  says 2 'holds another network' export "$kept" --net '64 dense:3 relu dense:64 relu dense:10' --out never.hpp
done
says 1 "differ in 'network'" train --data digits --epochs 9 --optimizer adam --schedule cosine --clip 1 --early-stopping 2 --checkpoint kept --net '64 dense:128 tanh dense:64 relu dense:10'
says 1 "differ in 'loss'" train --data digits --epochs 9 --optimizer adam --schedule cosine --clip 1 --early-stopping 2 --checkpoint kept --loss mse
says 2 'has test examples of its own' train --data digits --test-data csv:xor.csv
echo x >afile
says 2 'cannot be made' train --data digits --checkpoint afile/kept
says 2 '[missing.safetensors]' export missing.safetensors --out never.hpp
says 2 '[no/such/net.hpp] cannot be written' export net.safetensors --out no/such/net.hpp
says 2 "'3net' is no C++ identifier" export net.safetensors --out 3net.hpp
says 2 '--out is required' export net.safetensors
says 2 'line 1, column 4' export net.safetensors --net '64 dens:2' --out never.hpp
head -c 500 net.safetensors >short.safetensors
says 2 '[short.safetensors]' export short.safetensors --out never.hpp
says 2 'no folder' train --save no/such/net.safetensors --log never.jsonl

printf '0,0,0\n0,1,1\n1,0,1\n1,1,0\n' >xor.csv
says 0 '4 examples to train on' train --data csv:xor.csv --test-data csv:xor.csv --epochs 2 --batch 4
printf '0,0,1,0\n1,1,0,1\n' >onehot.csv
says 0 '2 examples' train --data csv:onehot.csv --csv-labels one-hot:2 --test-fraction 0 --epochs 1

for i in $(seq 60); do echo "$i.5,$((i * 7 % 5)),$((2 * i - 3 * (i * 7 % 5))),$((i % 4))"; done >numbers.csv
says 0 'test r2: ' train --data csv:numbers.csv --csv-labels targets:2 --optimizer adam --epochs 5 --log numbers.jsonl --picture numbers.svg --save numbers.safetensors
check 'errors of a regression in the log' "$(tail -n 1 numbers.jsonl | grep -q '"test_mae"'; echo $?)"
check 'the picture says what it shows' "$(grep -q 'Test mae' numbers.svg; echo $?)"
says 0 'test mae' train --data csv:numbers.csv --csv-labels targets --loss huber --net '3 dense:4 tanh dense:1' --epochs 1
says 2 'the data 2 targets: end with dense:2' train --data csv:numbers.csv --csv-labels targets:2 --net '2 dense:1'
says 2 '0 columns: must be 1 or more' train --data csv:numbers.csv --csv-labels targets:0
says 2 "'x' is not a whole number" train --data csv:numbers.csv --csv-labels targets:x
says 0 'no findings' diagnose --data csv:numbers.csv --csv-labels targets:2 --loss mse

says 2 "'nope' is not one of" train --data nope --log never.jsonl --picture never.svg
says 2 'begin with 64' train --net '3 dense:10' --log never.jsonl
says 2 'end with dense:10' train --net '64 dense:3' --log never.jsonl
says 2 'line 1, column 4' train --net '64 dens:2' --log never.jsonl
says 2 '^^^^^^' train --net '64 dens:2' --log never.jsonl
says 2 'is not one of mse' train --loss mae --log never.jsonl
says 2 'is not one of zeros' train --init xavier --log never.jsonl
says 2 'cannot be opened' train --data csv:missing.csv --log never.jsonl
says 2 'dataset-fashion-mnist' train --data fashion-mnist:"$dir" --log never.jsonl
says 2 'from 1' train --epochs 0 --log never.jsonl
says 2 '--frobnicate' train --frobnicate
says 2 "'frobnicate' is no command" frobnicate
says 2 'from 0' train --seed -1
says 2 'the text is empty' train --net '' --log never.jsonl
says 2 'no folder' train --picture no/such/p.svg --log never.jsonl
says 1 'the loss is nan' train --net '64 dense:10' --loss bce --lr 1
says 1 'NOT CHECKED' gradcheck --net '3 dense:2' --loss bce --init normal:0:9
says 2 'cannot be written' train --log no/such/folder.jsonl
says 2 'must be finite' train --lr -1
printf '1,2,0\n1,x,1\n' >bad.csv
says 2 'bad.csv:2:2' train --data csv:bad.csv --log never.jsonl
printf '1,2,0\n1,1\n' >ragged.csv
says 2 'ragged.csv:2' train --data csv:ragged.csv --log never.jsonl
printf '\0\0\010\001\0\0\0\005abc' >short.idx
says 2 'short.idx' train --data idx:short.idx,short.idx --log never.jsonl
says 1 'NaN or infinite' train --lr 1e38 --epochs 2
cp "$tool" alone
tool=./alone says 2 'benchmarks were not built' bench --json never.json
says 2 '--frobnicate' bench --frobnicate
check 'nothing was written' "$(! ls never.* 2>/dev/null | grep -q .; echo $?)"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
