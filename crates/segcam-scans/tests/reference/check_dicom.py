"""Reads back what the example dicom_results wrote, with pydicom, highdicom, SimpleITK and dciodvfy.

    cargo run -p segcam-scans --example dicom_results -- SOURCE OUT [keep]
    .venv/bin/python check_dicom.py SOURCE OUT [keep]

SOURCE is one series (a folder) or one file. dciodvfy is in Debian's dicom3tools; without it that part is
left out, and said so.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk

source, out, *keep = sys.argv[1:]
source, out, keep = Path(source), Path(out), keep == ["keep"]
names = [str(source)] if source.is_file() else sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(source))
image = sitk.ReadImage(names if len(names) > 1 else names[0])
values = sitk.GetArrayFromImage(image).astype(np.float64)
heads = [pydicom.dcmread(name, stop_before_pixels=True) for name in names]
if "DoseGridScaling" in heads[0]:
    values *= float(heads[0].DoseGridScaling)
grey = values[..., 0] if values.ndim == 4 else values
wanted = (grey - grey.min()) / max(grey.max() - grey.min(), 1.0) - 0.5
uids = [h.get("SOPInstanceUID") or h.file_meta.MediaStorageSOPInstanceUID for h in heads]
# What results can refer to.
named = all(h.get("StudyInstanceUID") and h.get("SeriesInstanceUID") for h in heads)


def same(what, given, wanted, tolerance):
    off = np.abs(np.asarray(given, float) - np.asarray(wanted, float)).max()
    assert off <= tolerance, f"{what}: off by {off}"
    print(f"{what}: off by at most {off:.3g}")


def identity(d):
    """Whose it is, and whether it says so only if asked to."""
    first = heads[0]
    for name in ["PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate"]:
        theirs = first.get(name)
        # A date as old files have it is not copied.
        if theirs and (name != "StudyDate" or theirs.isdigit()):
            assert (d.get(name) == theirs) == keep, name
    text = str(d)
    assert any(uid in text for uid in uids) == (keep and named), "references to source images"


def plane(position, orientation, spacing, slice, what):
    at = image.TransformContinuousIndexToPhysicalPoint((0.0, 0.0, float(slice)))
    same(f"{what} position", position, at, 1e-4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    same(f"{what} orientation", orientation, [*direction[:, 0], *direction[:, 1]], 1e-6)
    same(f"{what} spacing", spacing, image.GetSpacing()[1::-1], 1e-6)


path = out / "map.dcm"
pm = pydicom.dcmread(path)
frames = len(wanted)
floats = np.frombuffer(pm.FloatPixelData, "<f4").reshape(frames, pm.Rows, pm.Columns)
same("map, pydicom", floats, wanted, 1e-6)
volume = hd.imread(path).get_volume(apply_real_world_transform=True)
# highdicom counts slices so that its axes are right-handed.
first = image.TransformContinuousIndexToPhysicalPoint((0.0, 0.0, 0.0))
turned = not np.allclose(volume.affine[:3, 3], first, atol=1e-3)
same("map, highdicom", volume.array[::-1] if turned else volume.array, wanted, 1e-6)
if turned:
    first = image.TransformContinuousIndexToPhysicalPoint((0.0, 0.0, frames - 1.0))
same("map, highdicom's origin", volume.affine[:3, 3], first, 1e-3)
shared = pm.SharedFunctionalGroupsSequence[0]
for slice in sorted({0, frames // 2, frames - 1}):
    plane(
        pm.PerFrameFunctionalGroupsSequence[slice].PlanePositionSequence[0].ImagePositionPatient,
        shared.PlaneOrientationSequence[0].ImageOrientationPatient,
        shared.PixelMeasuresSequence[0].PixelSpacing,
        slice,
        f"map, frame {slice + 1}",
    )
identity(pm)
if keep and named:
    for slice, group in enumerate(pm.PerFrameFunctionalGroupsSequence):
        reference = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert reference.ReferencedSOPInstanceUID == uids[slice if len(uids) > 1 else 0]
        assert int(reference.get("ReferencedFrameNumber", slice + 1)) == slice + 1
    print("map: each frame names its own source image")

files = sorted((out / "overlay").glob("*.dcm"))
assert len(files) == frames
shade = ((wanted + 0.5) * 255.0).astype(int)
pictures = np.stack([np.where(wanted > 0, 255, shade), shade, shade], -1)
stack = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(out / "overlay")))
# float32 and float64 round apart at the edges of a shade, and at zero.
sure = np.abs(wanted) > 1e-6
same("pictures, SimpleITK", sitk.GetArrayFromImage(stack)[sure], pictures[sure], 1)
same("pictures, origin", stack.GetOrigin(), image.GetOrigin(), 1e-4)
if frames > 1:
    same("pictures, spacing", stack.GetSpacing(), image.GetSpacing(), 1e-4)
for slice, file in enumerate(files):
    d = pydicom.dcmread(file)
    same(f"picture {slice + 1}", d.pixel_array[..., 1], pictures[slice][..., 1], 1)
    identity(d)

errors = 0
if shutil.which("dciodvfy"):
    for file in [path, *files]:
        said = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
        lines = {line for line in (said.stdout + said.stderr).splitlines() if line}
        errors += sum(line.startswith("Error") for line in lines)
        if file in (path, files[0]):
            print(f"dciodvfy {file.name}:", *sorted(lines), sep="\n  ")
    print(f"dciodvfy: {errors} error(s) in {1 + len(files)} files")
else:
    print("LEFT OUT: no dciodvfy here")
sys.exit(errors > 0)
