"""Writes the files in dicom/ beside this file, and dicom.json.gz: what pydicom and SimpleITK read in them.

    python3 -m venv .venv && .venv/bin/pip install -r dicom-requirements.txt
    .venv/bin/python dicom.py

Everything is made up: nobody was imaged.
"""

import gzip
import io
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_rescale
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

HERE = Path(__file__).parent
OUT = HERE / "dicom"
ROOT = "1.2.826.0.1.3680043.8.498.1"
SIZE = 9, 14
# OpenJPEG wants room for its resolutions.
LARGE = 33, 36
rng = np.random.default_rng(20261126)
uids = iter(f"{ROOT}.{n}" for n in range(1, 100_000))
expected = []


def picture(low, high, kind, samples=1, size=SIZE):
    """Smooth, with a bit of noise and both ends of the range."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    planes = [np.sin(x / (3 + s)) * np.cos(y / (2 + s)) for s in range(samples)]
    wave = np.stack(planes, -1) + rng.normal(scale=0.05, size=(*size, samples))
    wave = (wave - wave.min()) / (wave.max() - wave.min())
    values = np.round(low + wave * (high - low)).astype(kind)
    return values[..., 0] if samples == 1 else values


def dataset(pixels, series="1", **more):
    """A slice of the classic kind; `pixels` says rows, columns, samples, bits and sign."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, next(uids)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    d.PatientName, d.PatientID, d.StudyDate, d.StudyTime = "Nobody^At^All", "NOBODY", "20200229", "101112"
    d.PatientBirthDate, d.PatientSex, d.AccessionNumber, d.StudyID = "19000101", "O", "ACC", "STUDY"
    d.ReferringPhysicianName = "Nobody^Else"
    d.StudyInstanceUID, d.SeriesInstanceUID = f"{ROOT}.0.1", f"{ROOT}.0.1.{series}"
    d.FrameOfReferenceUID = f"{ROOT}.0.2.{series}"
    d.Modality, d.SeriesNumber, d.InstanceNumber = "CT", int(series), 1
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.ImagePositionPatient, d.ImageOrientationPatient = [-31.5, 42.25, 7.75], [1, 0, 0, 0, 1, 0]
    d.PixelSpacing, d.SliceThickness = [0.75, 0.5], 2.5
    d.Rows, d.Columns = pixels.shape[:2]
    d.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    d.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        d.PlanarConfiguration = 0
    if pixels.dtype.kind in "ui":
        bits = pixels.dtype.itemsize * 8
        d.BitsAllocated, d.BitsStored, d.HighBit = bits, bits, bits - 1
        d.PixelRepresentation = int(pixels.dtype.kind == "i")
        d.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        d["PixelData"].VR = "OB" if bits == 8 else "OW"
    for name, value in more.items():
        setattr(d, name, value)
    return d


def save(d, name):
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    syntax = d.file_meta.TransferSyntaxUID
    endian = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
    if syntax == ExplicitVRBigEndian and d.BitsAllocated == 16:
        d.PixelData = np.frombuffer(d.PixelData, "<u2").byteswap().tobytes()
    pydicom.dcmwrite(path, d, enforce_file_format=True, **endian)
    return path


def values(path):
    """Per channel, in C order, as pydicom decodes and rescales."""
    d = pydicom.dcmread(path)
    array = d.pixel_array.astype(np.float64)
    if "DoseGridScaling" in d:
        array = array * float(d.DoseGridScaling)
    else:
        array = apply_rescale(d.pixel_array, d)
    frames = int(d.get("NumberOfFrames", 1))
    samples = d.SamplesPerPixel
    array = array.reshape(frames, d.Rows, d.Columns, samples)
    return np.moveaxis(array, -1, 0).astype(np.float32)


def affine(orientation, spacing, first, step):
    """LPS to RAS."""
    o = np.array(orientation, float)
    columns = [o[:3] * spacing[1], o[3:] * spacing[0], np.array(step, float), np.array(first, float)]
    return np.diag([-1.0, -1.0, 1.0]) @ np.stack(columns, 1)


def expect(name, array, matrix, window=None, inverted=False, tolerance=0.0, notes=0):
    channels, *size = array.shape
    expected.append({
        "name": name,
        "size": size[::-1],
        "channels": channels,
        "affine": matrix.tolist(),
        "values": array.ravel().tolist(),
        "window": window,
        "inverted": inverted,
        "tolerance": tolerance,
        "notes": notes,
    })


def single(d, name, tolerance=0.0, window=None, inverted=False, notes=0):
    path = save(d, name)
    if "ImagePositionPatient" in d:
        o = np.array(d.ImageOrientationPatient, float)
        step = np.cross(o[:3], o[3:]) * float(d.SliceThickness)
        matrix = affine(o, d.PixelSpacing, d.ImagePositionPatient, step)
    else:
        spacing = d.get("PixelSpacing", d.get("ImagerPixelSpacing", [1, 1]))
        matrix = affine([1, 0, 0, 0, 1, 0], spacing, [0, 0, 0], [0, 0, 1])
    expect(name, values(path), matrix, window, inverted, tolerance, notes)


def syntaxes():
    rescaled = {"RescaleSlope": 1.5, "RescaleIntercept": -1024}
    for name, syntax in [
        ("implicit", ImplicitVRLittleEndian),
        ("explicit", ExplicitVRLittleEndian),
        ("big", ExplicitVRBigEndian),
        ("deflated", DeflatedExplicitVRLittleEndian),
    ]:
        d = dataset(picture(-1000, 3000, "i2"), **rescaled)
        d.file_meta.TransferSyntaxUID = syntax
        single(d, f"{name}.dcm")
    for name, syntax, size in [("rle", RLELossless, SIZE), ("j2k", JPEG2000Lossless, LARGE)]:
        d = dataset(picture(-32768, 32767, "i2", 1, size), **rescaled)
        d.compress(syntax, generate_instance_uid=False)
        single(d, f"{name}-signed.dcm")
        d = dataset(picture(0, 4095, "u2", 1, size), BitsStored=12, HighBit=11)
        d.compress(syntax, generate_instance_uid=False)
        single(d, f"{name}-12.dcm")
        d = dataset(picture(0, 255, "u1", 3, size))
        d.compress(syntax, generate_instance_uid=False)
        single(d, f"{name}-rgb.dcm")
    d = dataset(picture(0, 65535, "u2"))
    lossless(d, picture(0, 65535, "u2"))
    single(d, "lossless.dcm")
    d = dataset(picture(-1000, 3000, "i2"), **rescaled)
    lossless(d, picture(-1000, 3000, "i2"))
    single(d, "lossless-signed.dcm")
    d = dataset(picture(0, 255, "u1"))
    jpeg(d, picture(0, 255, "u1"))
    single(d, "jpeg.dcm", tolerance=1.0)
    d = dataset(picture(0, 255, "u1", 3))
    jpeg(d, picture(0, 255, "u1", 3), subsampling=0)
    d.PhotometricInterpretation = "YBR_FULL"
    single(d, "jpeg-ybr.dcm", tolerance=2.0)
    d = dataset(picture(0, 4095, "u2"), BitsStored=12, HighBit=11)
    d.compress(JPEGLSLossless, generate_instance_uid=False)
    save(d, "refused/jpeg-ls.dcm")


def jpeg(d, pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, **options)
    d.PixelData = encapsulate([file.getvalue()])
    d["PixelData"].is_undefined_length = True
    d["PixelData"].VR = "OB"
    d.file_meta.TransferSyntaxUID = JPEGBaseline8Bit


def lossless(d, pixels):
    """GDCM's encoder, through SimpleITK."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/x.dcm"
        writer = sitk.ImageFileWriter()
        writer.SetFileName(file)
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.Execute(sitk.GetImageFromArray(pixels))
        written = pydicom.dcmread(file)
    assert written.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    d.PixelData, d.file_meta.TransferSyntaxUID = written.PixelData, JPEGLosslessSV1
    d["PixelData"].is_undefined_length = True
    d["PixelData"].VR = "OB"


def layouts():
    single(dataset(picture(0, 255, "u1"), PhotometricInterpretation="MONOCHROME1"), "mono1.dcm", inverted=True)
    d = dataset(picture(0, 4095, "u2"), BitsStored=12, HighBit=11, WindowCenter=[40, 400], WindowWidth=[300, 2000])
    single(d, "window.dcm", window=[40.0, 300.0])
    pixels = picture(0, 255, "u1", 3)
    d = dataset(pixels, PlanarConfiguration=1)
    d.PixelData = np.moveaxis(pixels, -1, 0).tobytes()
    single(d, "planar.dcm")
    single(dataset(picture(0, 255, "u1", 3), PhotometricInterpretation="YBR_FULL"), "ybr.dcm", tolerance=1.0)
    # Two samples that do not count above those that do.
    pixels = picture(-2000, 2000, "i2")
    d = dataset(pixels, BitsStored=12, HighBit=11)
    d.PixelData = (pixels & 0x0FFF).astype("u2").tobytes()
    single(d, "signed-12.dcm")
    d = dataset(picture(0, 2**32 - 1, "u4"), RescaleSlope=1e-6, RescaleIntercept=0)
    single(d, "u4.dcm", notes=1, tolerance=1e-3)
    for name, kind in [("FloatPixelData", "f4"), ("DoubleFloatPixelData", "f8")]:
        pixels = rng.normal(size=SIZE).astype(kind)
        d = dataset(pixels, BitsAllocated=8 * pixels.itemsize)
        setattr(d, name, pixels.tobytes())
        single(d, f"{kind}.dcm")
    d = dataset(picture(0, 255, "u1"), ImagerPixelSpacing=[0.2, 0.1], Modality="DX")
    for name in ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"]:
        delattr(d, name)
    single(d, "x-ray.dcm", notes=1)
    d = dataset(picture(0, 255, "u1"), PhotometricInterpretation="PALETTE COLOR")
    save(d, "refused/palette.dcm")
    d = dataset(picture(0, 4095, "u2"), NumberOfFrames=1000)
    save(d, "refused/promises.dcm")


def volume(name, series, shear=0.0, uneven=0.0, count=5):
    """Slices whose names are not in order, each with a rescale of its own."""
    a, b = 0.3, -0.2
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    row, column, normal = (np.round(axis, 8) for axis in turn.T)
    start, arrays, positions = np.array([10.5, -20.25, 30.125]), [], []
    for slice, name_at in zip(range(count), rng.permutation(count)):
        at = start + slice * (3.0 * normal + shear * column)
        if slice == 2:
            at = at + uneven * column
        at = np.round(at, 6)
        d = dataset(picture(-500, 500, "i2"), series, RescaleSlope=1 + slice, RescaleIntercept=-slice)
        d.ImagePositionPatient, d.ImageOrientationPatient = list(at), [*row, *column]
        d.InstanceNumber = int(name_at) + 1
        path = save(d, f"{name}/{name_at}.dcm")
        arrays.append(values(path))
        positions.append(at)
    step = (positions[-1] - positions[0]) / (count - 1)
    matrix = affine([*row, *column], [0.75, 0.5], positions[0], step)
    if not uneven:
        expect(name, np.concatenate(arrays, 1), matrix, notes=int(shear != 0))
    if not shear and not uneven:
        same_as_itk(OUT / name, matrix, np.concatenate(arrays, 1)[0])


def same_as_itk(folder, matrix, array):
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    theirs = np.diag([-1.0, -1.0, 1.0]) @ np.column_stack([direction, image.GetOrigin()])
    assert np.allclose(theirs, matrix, atol=1e-5), (theirs, matrix)
    assert np.allclose(sitk.GetArrayFromImage(image), array)


def enhanced():
    """Frames that are not in order, each with groups of its own."""
    count, order = 4, [2, 0, 3, 1]
    frames = np.stack([picture(0, 4000, "u2") for _ in range(count)])
    d = dataset(frames[0], "6", Modality="MR", NumberOfFrames=count, SOPClassUID=EnhancedMRImageStorage)
    d.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    for name in ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"]:
        delattr(d, name)
    d.PixelData = frames.tobytes()
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.75, 0.5], 4
    orientation.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    d.SharedFunctionalGroupsSequence, groups, arrays = [shared], [], {}
    for frame, place in zip(frames, order):
        group, position, value = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [-100 - 2 * place, 5, 6]
        value.RescaleSlope, value.RescaleIntercept, value.RescaleType = 1 + place, place, "US"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [position], [value]
        groups.append(group)
        # Along the normal, which points to the patient's right.
        arrays[place] = frame * (1.0 + place) + place
    d.PerFrameFunctionalGroupsSequence = groups
    save(d, "enhanced.dcm")
    array = np.stack([arrays[place] for place in range(count)])[None].astype(np.float32)
    matrix = affine([0, 1, 0, 0, 0, -1], [0.75, 0.5], [-100, 5, 6], [-2, 0, 0])
    expect("enhanced.dcm", array, matrix)


def several_frames():
    frames = np.stack([picture(0, 4000, "u2", 1, LARGE) for _ in range(3)])
    d = dataset(frames[0], "7", NumberOfFrames=3, SOPClassUID=SecondaryCaptureImageStorage)
    for name in ["ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"]:
        delattr(d, name)
    d.PixelData = frames.tobytes()
    d.compress(RLELossless, generate_instance_uid=False)
    matrix = affine([1, 0, 0, 0, 1, 0], [0.75, 0.5], [0, 0, 0], [0, 0, 1])
    path = save(d, "frames.dcm")
    expect("frames.dcm", values(path), matrix, notes=1)
    # The same frames in two fragments each, which only the table of offsets tells apart.
    d.decompress(generate_instance_uid=False)
    d.compress(JPEG2000Lossless, generate_instance_uid=False)
    whole = list(pydicom.encaps.generate_frames(d.PixelData, number_of_frames=3))
    d.PixelData = encapsulate(whole, fragments_per_frame=2, has_bot=True)
    path = save(d, "fragments.dcm")
    expect("fragments.dcm", values(path), matrix, notes=1)
    d = dataset(frames[0].astype("u4"), "8", NumberOfFrames=3, Modality="RTDOSE", DoseGridScaling=0.001)
    d.PixelData, d.GridFrameOffsetVector = frames.astype("u4").tobytes(), [0, 2, 4]
    path = save(d, "dose.dcm")
    matrix = affine([1, 0, 0, 0, 1, 0], [0.75, 0.5], d.ImagePositionPatient, [0, 0, 2])
    expect("dose.dcm", values(path), matrix, notes=1, tolerance=1e-6)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    syntaxes()
    layouts()
    volume("oblique", "2")
    volume("tilted", "3", shear=0.4)
    volume("uneven", "4", uneven=0.9)
    enhanced()
    several_frames()
    text = json.dumps(expected).encode()
    (HERE / "dicom.json.gz").write_bytes(gzip.compress(text, mtime=0))


main()
