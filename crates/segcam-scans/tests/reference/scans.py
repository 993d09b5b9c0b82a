"""Writes the files in files/ beside this file, and expected.json: what nibabel and SimpleITK read in
them, what nibabel writes, and how SimpleITK resamples.

    python3 -m venv .venv && .venv/bin/pip install -r scans-requirements.txt
    .venv/bin/python scans.py
"""

import gzip
import itertools
import json
import shutil
import struct
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import SimpleITK as sitk

import recipes
from itk_geometry import itk_affine

HERE = Path(__file__).parent
FILES = HERE / "files"
TYPES = "u1 i1 u2 i2 u4 i4 u8 i8 f4 f8".split()
rng = np.random.default_rng(20261126)
read, refused, written = [], [], []


def values(shape, kind):
    """Of the whole range that float32 holds exactly, and a bit of what it does not."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return (rng.normal(size=shape) * 1000).astype(dtype)
    ends = np.iinfo(dtype)
    low, high = max(ends.min, -(2**40)), min(ends.max, 2**40)
    return rng.integers(low, high, size=shape, endpoint=True).astype(dtype)


def rotation(angles):
    a, b, c = angles
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return z @ y @ x


def affine(axes, spacing, offset):
    out = np.eye(4)
    out[:3, :3] = np.asarray(axes) * spacing
    out[:3, 3] = offset
    return out


OBLIQUE = affine(rotation([0.2, -0.3, 2.5]), [0.9, 1.1, 2.5], [-20.5, 33.25, 7])
LEFT_HANDED = affine(rotation([0.1, 0.4, -0.2]) * [1, 1, -1], [2, 1.5, 3], [5, -6, 70])
SHEARED = np.array([[1, 0.3, 0, 4], [0, 2, 0.1, 5], [0.2, 0, 3, 6], [0, 0, 0, 1]], float)
PLAIN = affine(np.diag([-1, -1, 1]), [1, 2, 3], [10, 20, -30])


def expect(name, array, affine):
    """`array` has i first, and its channels last."""
    array = np.asarray(array)
    array = array.reshape(array.shape[:3] + (1,) * (3 - array.ndim) + array.shape[3:])
    channels = int(np.prod(array.shape[3:]))
    with np.errstate(over="ignore"):
        flat = array.reshape(-1, order="F").astype(np.float32)
    read.append({
        "file": name,
        "size": array.shape[:3],
        "channels": channels,
        "affine": np.asarray(affine)[:3].tolist(),
        "orientation": "".join(nib.aff2axcodes(affine)),
        "values": flat.tolist(),
    })


def refuse(name, text):
    refused.append({"file": name, "text": text})


# NIfTI

MAKERS = {(1, False): nib.Nifti1Image, (2, False): nib.Nifti2Image,
          (1, True): nib.Nifti1Pair, (2, True): nib.Nifti2Pair}


def nifti(name, kind="i2", shape=(5, 4, 3), version=1, endian="<", sform=(OBLIQUE, 1),
          qform=(None, 0), scale=None, units=("mm", "sec"), change=None):
    """A file with names and text in its header; `change` gets the header at last."""
    pair = ".hdr" in name or ".img" in name
    maker = MAKERS[version, pair]
    header = maker.header_class(endianness=endian)
    header.set_data_dtype(np.dtype(kind).newbyteorder(endian))
    header.set_data_shape(shape)
    header.set_xyzt_units(*units)
    header.set_sform(*sform)
    header.set_qform(*qform)
    if sform[1] and not qform[1]:
        header["pixdim"][1:4] = np.linalg.norm(sform[0][:3, :3], axis=0)
    header["descrip"] = b"somebody's name"
    header["aux_file"] = b"1970-01-01"
    header["intent_name"] = b"a name"
    header["cal_max"] = 7
    if len(shape) > 3:
        header["pixdim"][4] = 2.5
    if scale is not None:
        header["scl_slope"], header["scl_inter"] = scale
    if change is not None:
        change(header)
    raw = values(shape, kind).astype(np.dtype(kind).newbyteorder(endian))
    single = bytes(header.binaryblock)
    data = raw.tobytes(order="F")
    pack = (lambda b: gzip.compress(b, mtime=0)) if name.endswith(".gz") else (lambda b: b)
    if pair:
        (FILES / name).write_bytes(pack(single + bytes(4)))
        (FILES / name.replace(".hdr", ".img")).write_bytes(pack(data))
    else:
        if header["vox_offset"] == 0:
            header["vox_offset"] = header.single_vox_offset
        single = bytes(header.binaryblock)
        gap = bytes(int(header["vox_offset"]) - len(single))
        (FILES / name).write_bytes(pack(single + gap + data))
    return name


def nibabel(name):
    image = nib.load(FILES / name)
    factor = {1: 1000, 3: 0.001}.get(int(image.header["xyzt_units"]) % 8, 1)
    expect(name, np.asarray(image.dataobj), np.diag([factor] * 3 + [1]) @ image.affine)
    return image


def rewrite(name):
    """The header that nibabel writes for float32 values on this image."""
    image = nib.load(FILES / name)
    shape = image.shape[:3]
    data = np.zeros(shape, np.float32)
    data.flat[0], data.flat[1] = -1.5, 2.25
    header = image.header.copy()
    header.set_data_dtype(np.float32)
    for field in ("descrip", "aux_file", "intent_name"):
        header[field] = b""
    header["descrip"] = b"a map"
    for field in ("intent_p1", "intent_p2", "intent_p3", "intent_code"):
        header[field] = 0
    if "db_name" in header.keys():
        for field in ("data_type", "db_name", "regular"):
            header[field] = b""
        for field in ("extents", "session_error", "glmax", "glmin"):
            header[field] = 0
    header["cal_min"], header["cal_max"] = -1.5, 2.25
    header.extensions.clear()
    single = nib.Nifti2Image if image.header["sizeof_hdr"] == 540 else nib.Nifti1Image
    path = FILES / "rewritten.nii"
    nib.save(single(data, image.affine, header), path)
    start = single.header_class.single_vox_offset
    block = path.read_bytes()[:start]
    if image.header.endianness == ">":
        header = single.header_class(block[:-4], endianness=">", check=False)
        block = header.as_byteswapped("<").binaryblock + bytes(4)
    path.unlink()
    written.append({"file": name, "header": block.hex()})


def all_nifti():
    for number, kind in enumerate(TYPES):
        for version, endian in itertools.product([1, 2], "<>"):
            where = "le" if endian == "<" else "be"
            ending = ".nii.gz" if number % 2 else ".nii"
            name = f"nifti{version}-{kind}-{where}{ending}"
            nibabel(nifti(name, kind, version=version, endian=endian))
    nibabel(nifti("scaled.nii", "i2", scale=(0.1, -3.7)))
    nibabel(nifti("scaled-2.nii", "u1", version=2, endian=">", scale=(-1.3, 1024)))
    nibabel(nifti("scaled-float.nii", "f4", scale=(2, 0.1)))
    nibabel(nifti("slope-0.nii", "i2", scale=(0, 5)))
    nibabel(nifti("slope-nan.nii", "i2", scale=(np.nan, 5)))
    refuse(nifti("intercept-nan.nii", "i2", scale=(2, np.nan)), "scl_inter is NaN")
    nibabel(nifti("qform.nii", sform=(None, 0), qform=(OBLIQUE, 1)))
    nibabel(nifti("qform-left.nii.gz", sform=(None, 0), qform=(LEFT_HANDED, 3)))
    nibabel(nifti("qform-2.nii", version=2, sform=(None, 0), qform=(LEFT_HANDED, 1)))
    nibabel(nifti("qform-turn.nii", sform=(None, 0), qform=(PLAIN, 1)))
    nibabel(nifti("both.nii", sform=(SHEARED, 4), qform=(OBLIQUE, 1)))
    nibabel(nifti("sform-0.nii", sform=(SHEARED, 0), qform=(PLAIN, 2)))
    nibabel(nifti("no-code.nii", sform=(SHEARED, 0), qform=(PLAIN, 0)))
    nibabel(nifti("sheared.nii", sform=(SHEARED, 2)))
    nibabel(nifti("metres.nii", units=("meter", "msec"), sform=(PLAIN / 1000, 1)))
    nibabel(nifti("microns.nii", units=("micron", None), qform=(PLAIN * 1000, 1), sform=(None, 0)))
    nibabel(nifti("flat.nii", shape=(5, 4)))
    nibabel(nifti("flat-no-code.nii", shape=(5, 4), sform=(None, 0)))
    nibabel(nifti("channels.nii.gz", shape=(4, 3, 2, 3)))
    nibabel(nifti("vectors.nii", "f4", shape=(4, 3, 2, 1, 3)))
    nibabel(nifti("one-step.nii", shape=(4, 3, 2, 1)))
    nibabel(nifti("offset.nii", change=lambda h: h.set_data_offset(416)))
    nibabel(nifti("pair.hdr", "u2"))
    nibabel(nifti("pair-packed.hdr.gz", "f4", endian=">"))
    nibabel(nifti("pair-2.hdr", "i4", version=2, sform=(LEFT_HANDED, 1), qform=(LEFT_HANDED, 1)))

    def corrected(header):
        header["pixdim"][:4] = [0, -1, 0, 2]
        header["sform_code"] = 77
        header["dim_info"] = 57
        header["slice_code"], header["slice_end"], header["slice_duration"] = 3, 2, 0.07
        header["toffset"] = 1.5

    nibabel(nifti("corrected.nii", sform=(None, 0), qform=(PLAIN, 1), change=corrected))

    def cleared(header):
        header["vox_offset"] = 0

    name = nifti("offset-0.nii", change=cleared)
    nibabel(name)
    block = bytearray((FILES / name).read_bytes())
    block[108:112] = bytes(4)
    (FILES / name).write_bytes(block)

    refuse(nifti("steps.nii", shape=(4, 3, 2, 2, 3)), "[4, 3, 2, 2, 3]")
    refuse(nifti("not-a-number.nii", sform=(OBLIQUE * np.nan, 1)), "not finite")
    refuse(nifti("collapsed.nii", sform=(np.diag([1.0, 0, 1, 1]), 1)), "do not span space")
    broken = dict(sform=(None, 0), qform=(PLAIN, 1))
    refuse(nifti("no-rotation.nii", **broken, change=lambda h: h.__setitem__("quatern_b", 1.5)),
           "is no rotation")
    others = {128: "rgb", 2304: "rgba", 32: "complex", 1: "bits", 1536: "wide", 99: "type"}
    for code, name in others.items():
        refuse(nifti(f"{name}.nii", change=lambda h: h.__setitem__("datatype", code)),
               f"datatype {code}")
    refuse(nifti("early.nii", change=lambda h: h.set_data_offset(352)), "vox_offset is 16")
    block = bytearray((FILES / "early.nii").read_bytes())
    block[108:112] = struct.pack("<f", 16)
    (FILES / "early.nii").write_bytes(block)
    refuse(nifti("large.nii"), "of 65534000")
    block = bytearray((FILES / "large.nii").read_bytes())
    block[42:48] = struct.pack("<3h", 32767, 1000, 1)
    (FILES / "large.nii").write_bytes(block)
    for name in ("nifti1-i2-le.nii.gz", "nifti1-u1-be.nii", "nifti2-f4-le.nii", "nifti2-i2-be.nii.gz",
                 "both.nii", "qform-left.nii.gz", "no-code.nii", "metres.nii", "channels.nii.gz",
                 "pair.hdr", "pair-2.hdr", "corrected.nii", "scaled.nii", "qform-turn.nii"):
        rewrite(name)


# MGH


def mgh(name, array, affine):
    nib.save(nib.MGHImage(array, affine), FILES / name)
    image = nib.load(FILES / name)
    expect(name, np.asarray(image.dataobj), image.affine)


def all_mgh():
    for kind in ("u1", "i2", "i4", "f4"):
        mgh(f"{kind}.mgh", values((5, 4, 3), kind), OBLIQUE.astype(np.float32))
    mgh("packed.mgz", values((5, 4, 3), "i2"), LEFT_HANDED.astype(np.float32))
    mgh("frames.mgz", values((4, 3, 2, 3), "f4"), SHEARED.astype(np.float32))
    block = bytearray((FILES / "u1.mgh").read_bytes())
    block[20:24] = struct.pack(">i", 2)
    (FILES / "long.mgh").write_bytes(block)
    refuse("long.mgh", "MGH type 2")
    # Without geometry: FreeSurfer's default, coronal slices, as its mghRead has it. nibabel's has y
    # and z the other way around.
    array = values((5, 4, 3), "u1")
    block = struct.pack(">7ih", 1, 5, 4, 3, 1, 0, 0, 0) + bytes(254) + array.tobytes(order="F")
    (FILES / "nowhere.mgh").write_bytes(block)
    expect("nowhere.mgh", array,
           [[-1, 0, 0, 2.5], [0, 0, 1, -1.5], [0, -1, 0, 2], [0, 0, 0, 1]])


# NRRD and MetaImage


def itk(name):
    image = sitk.ReadImage(FILES / name)
    array = sitk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)
        if image.GetDimension() == 2:
            array = array[:, None]
    expect(name, array.T, itk_affine(image))
    return image


def nrrd_file(name, array, directions, origin, space="left-posterior-superior", check=itk, **more):
    header = {"encoding": "raw", "endian": "little", **more}
    if space:
        header["space"] = space
    if directions is not None:
        header["space directions"] = np.array(directions)
        header["space origin"] = np.array(origin)
    nrrd.write(str(FILES / name), array, header, detached_header=name.endswith(".nhdr"),
               index_order="F")
    # Without comments: pynrrd writes the date.
    header, _, data = (FILES / name).read_bytes().partition(b"\n\n")
    lines = [line for line in header.split(b"\n") if not line.startswith(b"#")]
    (FILES / name).write_bytes(b"\n".join(lines) + b"\n\n" + data)
    if check:
        check(name)


def all_nrrd():
    directions = OBLIQUE[:3, :3].T
    origin = OBLIQUE[:3, 3]
    for kind in TYPES:
        nrrd_file(f"{kind}.nrrd", values((5, 4, 3), kind), directions, origin,
                  encoding="gzip" if kind in ("i2", "f4") else "raw")
    nrrd_file("ras.nrrd", values((5, 4, 3), "i2"), directions, origin, "right-anterior-superior")
    nrrd_file("las.nrrd", values((5, 4, 3), "i2"), directions, origin, "LAS")
    nrrd_file("text.nrrd", values((5, 4, 3), "i2"), directions, origin, encoding="ascii")
    nrrd_file("text-float.nrrd", values((5, 4, 3), "f4"), directions, origin, encoding="ascii")
    nrrd_file("no-space.nrrd", values((5, 4, 3), "u1"), None, None, None)
    nrrd_file("spacings.nrrd", values((5, 4, 3), "u1"), None, None, None, spacings=[1, 2, 3])
    nrrd_file("detached.nhdr", values((5, 4, 3), "i4"), directions, origin)
    nrrd_file("detached-packed.nhdr", values((5, 4, 3), "f8"), directions, origin, encoding="gzip")
    none = [np.nan] * 3
    nrrd_file("vectors.nrrd", values((3, 5, 4, 2), "f4"), [none, *directions], origin,
              kinds=["vector", "domain", "domain", "domain"])
    array = values((5, 4, 2, 3), "i2")
    nrrd_file("list.nrrd", array, [*directions, none], origin, check=None,
              kinds=["domain", "domain", "domain", "list"])
    expect("list.nrrd", array, np.diag([-1, -1, 1, 1]) @ OBLIQUE)
    array = values((5, 2, 4, 3), "i2")
    nrrd_file("between.nrrd", array, [directions[0], none, *directions[1:]], origin, check=None)
    expect("between.nrrd", np.moveaxis(array, 1, 3), np.diag([-1, -1, 1, 1]) @ OBLIQUE)
    # Big-endian, with a line and bytes to skip.
    array = values((5, 4, 3), "i2")
    fields = ("NRRD0004\n# a comment\ntype: short\ndimension: 3\nspace: LPS\nsizes: 5 4 3\n"
              "space directions: (2,0,0) (0, 3, 0)(0,0,4)\nspace origin: (1,2,3)\nendian: big\n"
              "encoding: raw\na key:=a value\n")
    there = np.diag([-2, -3, 4, 1.0])
    there[:3, 3] = [-1, -2, 3]
    data = array.astype(">i2").tobytes(order="F")
    (FILES / "skip.nrrd").write_bytes(
        (fields + "line skip: 1\nbyte skip: 3\n\n").encode() + b"a line\n" + b"abc" + data)
    expect("skip.nrrd", array, there)
    (FILES / "last.nrrd").write_bytes((fields + "byte skip: -1\n\n").encode() + b"what\never" + data)
    expect("last.nrrd", array, there)
    for name, old, new, text in [
        ("block.nrrd", "short", "block", "\"block\""),
        ("scanner.nrrd", "LPS", "scanner-xyz", "does not say where left is"),
        ("bzip.nrrd", "encoding: raw", "encoding: bzip2", "raw, gzip and ascii"),
        ("cut.nrrd", "sizes: 5 4 3", "sizes: 5 4 300", "120 of 12000 bytes"),
        ("outside.nrrd", "encoding: raw", "encoding: raw\ndata file: ../x.raw", "outside of its folder"),
        ("gone.nrrd", "encoding: raw", "encoding: raw\ndata file: gone.raw", "gone.raw"),
        ("order.nrrd", "endian: big\n", "", "little or big"),
        ("sizes.nrrd", "sizes: 5 4 3", "sizes: 5 -4 3", "5 -4 3"),
    ]:
        (FILES / name).write_bytes((fields.replace(old, new) + "\n").encode() + data)
        refuse(name, text)


def meta_image(name, array, directions=OBLIQUE[:3, :3] / [0.9, 1.1, 2.5], packed=False, vector=False):
    slowest_first = np.moveaxis(array.T, 0, -1) if vector else array.T
    image = sitk.GetImageFromArray(slowest_first, isVector=vector)
    sides = image.GetDimension()
    full = np.eye(sides)
    n = min(3, sides)
    if n == 3:
        full[:n, :n] = directions
    image.SetDirection(full.ravel())
    image.SetSpacing([0.9, 1.1, 2.5, 1][:sides])
    image.SetOrigin([-20.5, 33.25, 7, 0][:sides])
    sitk.WriteImage(image, FILES / name, useCompression=packed)
    itk(name)


def all_meta_images():
    for kind in TYPES:
        meta_image(f"{kind}.mha", values((5, 4, 3), kind), packed=kind in ("i2", "f8"))
    meta_image("split.mhd", values((5, 4, 3), "i2"))
    meta_image("split-packed.mhd", values((5, 4, 3), "f4"), packed=True)
    meta_image("vectors.mha", values((5, 4, 2, 3), "f4"), vector=True)
    meta_image("flat.mha", values((5, 4), "u1"))
    meta_image("steps.mha", values((5, 4, 3, 2), "i2"))
    array = values((5, 4, 3), "i4")
    fields = ("ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = True\n"
              "CompressedData = False\nTransformMatrix = 0 1 0 0 0 1 1 0 0\nOffset = 1 2 3\n"
              "ElementSpacing = 2 3 4\nDimSize = 5 4 3\nElementType = MET_INT\nElementDataFile = LOCAL\n")
    data = array.astype(">i4").tobytes(order="F")
    (FILES / "big.mha").write_bytes(fields.encode() + data)
    itk("big.mha")
    # ITK swaps the bytes of text, too, if it is told that they are big-endian.
    text = fields.replace("BinaryData = True", "BinaryData = False").replace("MSB = True", "MSB = False")
    text += " ".join(str(v) for v in array.ravel(order="F")) + "\n"
    (FILES / "text.mha").write_text(text)
    itk("text.mha")
    for name, old, new, text in [
        ("cut.mha", "5 4 3", "5 4 30", "240 of 2400 bytes"),
        ("other.mha", "MET_INT", "MET_INT_ARRAY", "MET_INT_ARRAY"),
        ("list.mhd", "LOCAL", "LIST", "several files"),
        ("outside.mhd", "LOCAL", "/x.raw", "outside of its folder"),
        ("zero.mha", "2 3 4", "2 0 4", "do not span space"),
        ("sides.mha", "5 4 3", "5 4", "3 number(s) are needed"),
    ]:
        (FILES / name).write_bytes(fields.replace(old, new).encode() + data)
        refuse(name, text)


# Geometry


def orientations():
    found = []
    for _ in range(60):
        axes = rotation(rng.uniform(-np.pi, np.pi, 3)) * rng.choice([-1, 1], 3)
        axes = axes + rng.normal(size=(3, 3)) * rng.choice([0, 0.2])
        there = affine(axes, rng.uniform(0.5, 4, 3), rng.normal(size=3) * 50)
        array = values((4, 3, 2), "i2")
        code = "".join(rng.permutation([rng.choice(list(p)) for p in ("LR", "PA", "IS")]))
        image = nib.Nifti1Image(array, there)
        start, end = nib.io_orientation(there), nib.orientations.axcodes2ornt(code)
        turned = image.as_reoriented(nib.orientations.ornt_transform(start, end))
        found.append({
            "affine": there[:3].tolist(),
            "is": "".join(nib.aff2axcodes(there)),
            "wanted": code,
            "values": array.ravel(order="F").tolist(),
            "turned": np.asarray(turned.dataobj).ravel(order="F").tolist(),
            "turned_affine": turned.affine[:3].tolist(),
        })
    return found


def to_itk(array, there):
    image = sitk.GetImageFromArray(array.T)
    lps = np.diag([-1, -1, 1, 1]) @ there
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetDirection((lps[:3, :3] / spacing).ravel())
    image.SetOrigin(lps[:3, 3])
    return image


def resamplings():
    found = []
    array = rng.normal(size=(9, 8, 7)).astype(np.float32)
    onto = affine(rotation([0.25, -0.2, 2.4]), [0.7, 1.3, 1.9], [-22.3, 34.1, 8])
    turned = affine(rotation([0.2, -0.3, 2.5]) * [1, -1, -1], [1.6, 0.8, 1.7], [-24, 33, 16])
    for size, there in [((8, 9, 10), onto), ((5, 9, 11), turned)]:
        grid = to_itk(np.zeros(size, np.float32), there)
        for word, how in [("trilinear", sitk.sitkLinear), ("nearest", sitk.sitkNearestNeighbor)]:
            out = sitk.Resample(to_itk(array, OBLIQUE), grid, sitk.Transform(), how, -5.0)
            found.append({
                "size": [9, 8, 7], "affine": OBLIQUE[:3].tolist(), "how": word,
                "values": array.ravel(order="F").tolist(), "outside": -5.0,
                "onto_size": size, "onto_affine": there[:3].tolist(),
                "resampled": sitk.GetArrayFromImage(out).T.ravel(order="F").tolist(),
            })
    return found


def main():
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir()
    all_nifti()
    all_mgh()
    all_nrrd()
    all_meta_images()
    recipes.plans(FILES / "nnunet")
    expected = {"read": read, "refused": refused, "written": written,
                "orientations": orientations(), "resamplings": resamplings(),
                "recipes": list(recipes.cards(OBLIQUE)), "nnunet": list(recipes.nnunet(OBLIQUE))}
    text = json.dumps(expected, separators=(",", ":"), default=int)
    (HERE / "expected.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


main()
