"""check_written.py ORIGINALS WRITTEN: maps and labels that tests/written.rs wrote for the originals are
read by nibabel and SimpleITK as lying on them, and headers are those that nibabel would write."""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from itk_geometry import itk_affine

# Dropped, or those of the new values.
OTHERS = """datatype bitpix dim pixdim vox_offset scl_slope scl_inter cal_max cal_min descrip aux_file
intent_p1 intent_p2 intent_p3 intent_code intent_name data_type db_name extents session_error regular
glmax glmin magic sizeof_hdr unused_str""".split()


def check(original, written):
    name = original.name
    image = nib.load(original) if any(e in name for e in (".nii", ".hdr", ".mg")) else None
    new = nib.load(written / f"{name}.map.nii.gz")
    labels = nib.load(written / f"{name}.labels.nii")
    nifti = isinstance(image, nib.Nifti1Pair)
    if nifti:
        assert type(new) is (nib.Nifti2Image if image.header["sizeof_hdr"] == 540 else nib.Nifti1Image)
        np.testing.assert_array_equal(new.affine, image.affine, name)
        for other in (new, labels):
            for field in image.header.keys():
                if field not in OTHERS:
                    np.testing.assert_array_equal(other.header[field], image.header[field], f"{name} {field}")
            np.testing.assert_array_equal(other.header["pixdim"][:4], image.header["pixdim"][:4], name)
        affine = image.affine
    else:
        if name == "nowhere.mgh":
            affine = np.array([[-1, 0, 0, 2.5], [0, 0, 1, -1.5], [0, -1, 0, 2], [0, 0, 0, 1]])
        elif name in ("list.nrrd", "between.nrrd", "skip.nrrd", "last.nrrd"):
            affine = None  # SimpleITK reads them as images of four dimensions, or not at all.
        else:
            affine = image.affine if image is not None else itk_affine(sitk.ReadImage(original))
        if affine is not None:
            np.testing.assert_allclose(new.affine, affine, atol=1e-5, err_msg=name)
        axes = new.affine[:3, :3] / np.linalg.norm(new.affine[:3, :3], axis=0)
        straight = np.allclose(axes.T @ axes, np.eye(3), atol=1e-5)
        assert new.header["sform_code"] == 1 and new.header["qform_code"] == (1 if straight else 0), name
        if straight:
            np.testing.assert_allclose(new.get_qform(), new.affine, atol=2e-5, err_msg=name)
        assert new.header.get_xyzt_units() == ("mm", "unknown"), name
    data = np.asarray(new.dataobj)
    count = np.arange(data.size)
    assert new.get_data_dtype() == np.float32, name
    assert (new.dataobj.slope, new.dataobj.inter) == (1, 0), name
    wanted = count.astype(np.float32) * np.float32(0.3) - np.float32(4)
    np.testing.assert_array_equal(data.ravel(order="F"), wanted, name)
    assert (new.header["cal_min"], new.header["cal_max"]) == (wanted.min(), wanted.max()), name
    np.testing.assert_array_equal(np.asarray(labels.dataobj).ravel(order="F"), count**2, name)
    assert labels.get_data_dtype() == (np.uint8 if data.size <= 16 else np.int16), name
    for other in (new, labels):
        assert other.header["descrip"] == b"segcam" and not other.header.extensions, name
    if new.header["sizeof_hdr"] == 540:
        return "NIfTI-2"  # ITK does not read it.
    if new.ndim == 2:
        return "slices"  # ITK drops where they are.
    # SimpleITK, which reads millimetres, and no sheared axes.
    factor = {1: 1000, 3: 0.001}.get(int(new.header["xyzt_units"]) % 8, 1)
    try:
        theirs = itk_affine(sitk.ReadImage(written / f"{name}.map.nii.gz"))
    except RuntimeError as error:
        assert "orthonormal" in str(error), error
        return "sheared"
    if new.header["qform_code"] == 0 and new.header["sform_code"] == 0:
        return "without codes"  # ITK's default is another than nibabel's.
    wanted = np.diag([factor] * 3 + [1]) @ new.affine
    if not np.allclose(theirs, wanted, atol=1e-3):
        # Where sform and qform differ, ITK takes the qform.
        assert name == "both.nii", (name, theirs, wanted)
    return "read by both"


def main():
    originals, written = map(Path, sys.argv[1:])
    names = sorted(path.name.removesuffix(".map.nii.gz") for path in written.glob("*.map.nii.gz"))
    found = [check(originals / name, written) for name in names]
    assert len(found) > 100, len(found)
    print({what: found.count(what) for what in sorted(set(found))})


main()
