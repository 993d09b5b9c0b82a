"""Asks a running `segcam studio` about the largest object of each image: python3 docs/studio.py [ADDRESS [TOKEN]]"""

import json
import struct
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7272"
headers = {"Authorization": f"Bearer {sys.argv[2]}"} if len(sys.argv) > 2 else {}


def call(path, body=None):
    """The bytes of an answer; a refusal says why."""
    data = None if body is None else json.dumps(body).encode()
    try:
        return urlopen(Request(f"{address}/api/v1{path}", data, headers)).read()
    except HTTPError as error:
        raise SystemExit(json.load(error)["error"]) from None


for image in json.loads(call("/images"))["images"]:
    question = {"image": image["id"], "pixels": "largest", "layers": ["auto"], "methods": ["seg-hires-grad-cam"]}
    answer = json.loads(call("/questions", question))
    certificates = json.loads(call(f"/questions/{answer['id']}/certificates", {}))["maps"]
    for number, (found, exact) in enumerate(zip(answer["maps"], certificates)):
        values = call(f"/questions/{answer['id']}/maps/{number}")
        values = struct.unpack(f"<{len(values) // 4}f", values)
        against = -sum(value for value in values if value < 0) / sum(map(abs, values))
        print(f"{image['name']}, {answer['pixels']} pixels of {answer['class_name']}, {found['layer']}: "
              f"{100 * exact['share']:.1f} % of the score comes through it, {100 * against:.1f} % of the map speaks against")
