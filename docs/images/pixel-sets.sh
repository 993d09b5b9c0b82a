#!/bin/sh
# Draws docs/images/pixel-sets.png: every pixel set on the demo's picture.
set -e
out=$(cd "$(dirname "$0")" && pwd)/pixel-sets.png
cd "$(mktemp -d)"
segcam demo --out demo --quiet
segcam pixels --input demo/input.png --truth demo/truth.png --instances demo/instances.png \
    --class nucleus --show \
    'all' \
    'class' \
    'threshold:0.9' \
    'soft' \
    'top:300' \
    'entropy:0.4' \
    'margin:0.6' \
    'leastconfidence:0.2' \
    'contrast:background' \
    'finer:1' \
    'pixel:40,60' \
    'points:40,60;90,160;200,30' \
    'box:40,40,120,160' \
    'disc:128,128,50' \
    'polygon:20,128;230,40;200,220' \
    'random:400,1' \
    'border:12' \
    'dilate(class,5)' \
    'erode(class,4)' \
    'open(class,8)' \
    'close(class,6)' \
    'inner(class,2)' \
    'outer(class,3)' \
    'band(class,2)' \
    'component@180,162' \
    'largest' \
    'smallest' \
    'nth:2' \
    'atleast:350' \
    'each:200' \
    'instance:3' \
    'instances' \
    'truth' \
    'tp' \
    'fp' \
    'fn' \
    'tn'
cp segcam-out/pixels.png "$out"
