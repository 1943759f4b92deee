"""Writes golden.json: what ONNX Runtime finds with the product's models in compositions of the NASA portrait.

Needs numpy, onnx, onnxruntime and pillow (`tests/eval/run golden` brings them). The recipes are exact in integers, so that the
Rust test composes the very same pixels, and no picture is resized on either side: tensors in, boxes out.
"""
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from PIL import Image

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parents[1] / "blur-service" / "models"
PORTRAIT = np.asarray(Image.open(HERE.parent / "pictures" / "astronaut.png").convert("RGB"))
LEAST_SCORE = 0.3
FAINT = 0.1
"""What is below it nobody asks for."""
MOST_OVERLAP = 0.4
HEAD = [150, 10, 160, 200]

RECIPES = [
    # model, canvas, background, pastes (crop of the portrait as x y w h, shrunk by a whole factor, put at x y)
    ("full_range", [192, 192], [0, 0, 0], [([128, 8, 192, 192], 1, [0, 0])]),
    ("full_range", [192, 192], [90, 110, 130], [([0, 0, 512, 512], 4, [10, 20]), (HEAD, 4, [140, 100])]),
    ("full_range", [192, 108], [0, 0, 0], [(HEAD, 2, [100, 4]), (HEAD, 5, [20, 30])]),
    ("centerface", [512, 512], [0, 0, 0], [([0, 0, 512, 512], 1, [0, 0])]),
    ("centerface", [640, 384], [60, 90, 60], [(HEAD, 1, [20, 40]), (HEAD, 2, [240, 60]), (HEAD, 4, [380, 200]), (HEAD, 8, [500, 90])]),
    ("centerface", [352, 608], [200, 200, 210], [(HEAD, 4, [16 + 82 * (i % 4), 16 + 58 * (i // 4)]) for i in range(40)]),
    ("centerface", [300, 200], [10, 10, 10], [(HEAD, 2, [200, 90])]),
    ("yunet", [512, 512], [0, 0, 0], [([0, 0, 512, 512], 1, [0, 0])]),
    ("yunet", [640, 384], [60, 90, 60], [(HEAD, 1, [20, 40]), (HEAD, 2, [240, 60]), (HEAD, 4, [380, 200]), (HEAD, 8, [500, 90])]),
    ("yunet", [352, 608], [200, 200, 210], [(HEAD, 4, [16 + 82 * (i % 4), 16 + 58 * (i // 4)]) for i in range(40)]),
    ("yunet", [300, 200], [10, 10, 10], [(HEAD, 2, [200, 90])]),
]


def compose(canvas, background, pastes):
    picture = np.empty((canvas[1], canvas[0], 3), np.uint8)
    picture[:] = background
    for (x, y, width, height), factor, (left, top) in pastes:
        columns, rows = width // factor, height // factor
        cells = PORTRAIT[y : y + rows * factor, x : x + columns * factor].astype(np.uint32)
        cells = cells.reshape(rows, factor, columns, factor, 3).sum((1, 3))
        patch = (cells + factor * factor // 2) // (factor * factor)
        picture[top : top + rows, left : left + columns] = patch
    return picture


def on_canvas(picture):
    """The picture in the upper left corner of black, sides multiples of 32."""
    height, width = (-(-side // 32) * 32 for side in picture.shape[:2])
    canvas = np.zeros((height, width, 3), np.float32)
    canvas[: picture.shape[0], : picture.shape[1]] = picture
    return canvas


def full_range(session, picture):
    canvas = on_canvas(picture)
    boxes, scores = session.run(["boxes", "scores"], {"input": (canvas / 127.5 - 1).transpose(2, 0, 1)[None]})
    columns = canvas.shape[1] // 4
    for cell, (box, logit) in enumerate(zip(boxes[0], scores[0, :, 0])):
        x, y = (cell % columns + 0.5) * 4 + box[0], (cell // columns + 0.5) * 4 + box[1]
        yield x - box[2] / 2, y - box[3] / 2, box[2], box[3], 1 / (1 + np.exp(-float(logit)))


def centerface(session, picture):
    heat, scale, offset = session.run(["537", "538", "539"], {"input.1": on_canvas(picture).transpose(2, 0, 1)[None]})
    for row, column in np.argwhere(heat[0, 0] > FAINT):
        h, w = np.exp(scale[0, :, row, column]) * 4
        x, y = (column + offset[0, 1, row, column] + 0.5) * 4, (row + offset[0, 0, row, column] + 0.5) * 4
        yield x - w / 2, y - h / 2, w, h, heat[0, 0, row, column]


def yunet(session, picture):
    canvas = on_canvas(picture)[..., ::-1]
    names = [f"{name}_{stride}" for stride in (8, 16, 32) for name in ("cls", "obj", "bbox")]
    outputs = session.run(names, {"input": canvas.transpose(2, 0, 1)[None]})
    for level, stride in enumerate((8, 16, 32)):
        of_a_face, of_an_object, boxes = (output[0] for output in outputs[3 * level :][:3])
        columns = canvas.shape[1] // stride
        scores = np.sqrt(of_a_face[:, 0] * of_an_object[:, 0])
        for cell in np.flatnonzero(scores > FAINT):
            box, score = boxes[cell], float(scores[cell])
            x, y = (cell % columns + box[0]) * stride, (cell // columns + box[1]) * stride
            width, height = np.exp(box[2:]) * stride
            yield x - width / 2, y - height / 2, width, height, score


def any_size(file):
    """A session for the model without the sizes it declares, which are of one input only."""
    model = onnx.load(file)
    for value in [model.graph.input[0], *model.graph.output]:
        for index, dimension in enumerate(value.type.tensor_type.shape.dim):
            dimension.dim_param = f"{value.name}_{index}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def best(faces):
    kept = []
    for face in sorted((face for face in faces if face[4] >= LEAST_SCORE), key=lambda face: -face[4]):
        if all(iou(face, other) <= MOST_OVERLAP for other in kept):
            kept.append(face)
    return [[round(float(value), 4) for value in face] for face in kept]


def main():
    detectors = {
        "full_range": (full_range, "full_range_192.onnx"),
        "centerface": (centerface, "centerface.onnx"),
        "yunet": (yunet, "yunet_s.onnx"),
    }
    golden = []
    for model, canvas, background, pastes in RECIPES:
        find, file = detectors[model]
        session = any_size(MODELS / file)
        faces = best(find(session, compose(canvas, background, pastes)))
        print(model, canvas, f"{len(faces)} faces")
        pastes = [dict(crop=crop, shrink=factor, at=at) for crop, factor, at in pastes]
        golden.append(dict(model=model, canvas=canvas, background=background, pastes=pastes, least_score=LEAST_SCORE, faces=faces))
    lines = ",\n".join(json.dumps(entry) for entry in golden)
    (HERE / "golden.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
