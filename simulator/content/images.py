"""Images with the headers that dose is read from, and small but valid pixel data."""

import array
import datetime as dt
import random
from dataclasses import dataclass

from pydicom.dataset import Dataset

from simulator.archive.model import ArchiveMatch
from simulator.content.base import code, rng_for, study_moment

#: Rows and columns of made images: enough to be valid, small enough to be sent by the thousand.
SIZE = 64
_BYTE = 8
_PRESENTATION = "FOR PRESENTATION"


@dataclass(frozen=True, slots=True)
class _Pixels:
    bits: int = 16
    stored: int = 12
    signed: bool = False
    frames: int = 1


def _fill_pixels(ds: Dataset, rng: random.Random, pixels: _Pixels | None = None) -> None:
    pixels = pixels or _Pixels()
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = ds.Columns = SIZE
    ds.BitsAllocated = pixels.bits
    ds.BitsStored = pixels.stored
    ds.HighBit = pixels.stored - 1
    ds.PixelRepresentation = int(pixels.signed)
    row = array.array(
        "B" if pixels.bits == _BYTE else "H", (rng.randrange(1 << (pixels.stored - 1)) for _ in range(SIZE))
    )
    one_frame = b"".join((row[shift:] + row[:shift]).tobytes() for shift in range(SIZE))
    ds.PixelData = one_frame * pixels.frames
    ds["PixelData"].VR = "OB" if pixels.bits == _BYTE else "OW"
    if pixels.frames > 1:
        ds.NumberOfFrames = pixels.frames


def _acquired(ds: Dataset, match: ArchiveMatch, image_type: list[str]) -> random.Random:
    number = match.instance.instance_number if match.instance is not None else None
    began = study_moment(match.study) + dt.timedelta(seconds=number or 0)
    ds.ImageType = image_type
    ds.AcquisitionNumber = 1
    if match.study.date is not None:
        ds.AcquisitionDate = began.strftime("%Y%m%d")
        ds.AcquisitionTime = began.strftime("%H%M%S")
    return rng_for(match.uid)


def _plane_position(ds: Dataset, match: ArchiveMatch) -> None:
    number = match.instance.instance_number if match.instance is not None else None
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [-200, -200, 5 * (number or 0)]
    ds.PixelSpacing = [6.25, 6.25]
    ds.SliceThickness = 5
    ds.FrameOfReferenceUID = f"{match.study.study_instance_uid}.1"
    ds.PositionReferenceIndicator = ""


def fill_ct_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add one slice of a CT series."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY", "AXIAL"])
    _plane_position(ds, match)
    ds.KVP = rng.choice((80, 100, 120, 140))
    ds.XRayTubeCurrent = rng.randrange(80, 400)
    ds.ExposureTime = 500
    ds.Exposure = rng.randrange(40, 200)
    ds.CTDIvol = round(rng.uniform(2, 25), 2)
    ds.ConvolutionKernel = "B30f"
    ds.ProtocolName = (
        (match.series.description or "Protocol")[:64] if match.series is not None else "Protocol"
    )
    ds.BodyPartExamined = "CHEST"
    ds.PatientPosition = "HFS"
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    _fill_pixels(ds, rng)


def fill_ct_localizer(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a CT scout view."""
    fill_ct_image(ds, match)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def _secondary_capture(ds: Dataset, match: ArchiveMatch, image_type: list[str]) -> random.Random:
    rng = _acquired(ds, match, image_type)
    ds.ConversionType = "WSD"
    _fill_pixels(ds, rng, _Pixels(bits=8, stored=8))
    return rng


def fill_secondary_capture(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a screen that was captured for any reason."""
    _secondary_capture(ds, match, ["DERIVED", "SECONDARY"])


def fill_philips_dose_info(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the "Dose Info" screen of Philips CT scanners, whose header holds the doses (PS3.3 C.4.16)."""
    rng = _secondary_capture(ds, match, ["DERIVED", "SECONDARY", "DOSE_INFO"])
    ds.Manufacturer = "Philips"
    ds.ManufacturerModelName = "Brilliance 64"
    exposures = []
    lines = []
    for number in range(1, 4):
        ctdi_vol, length = rng.uniform(2, 20), rng.uniform(200, 500)
        item = Dataset()
        item.RadiationMode = "CONTINUOUS"
        item.KVP = 120
        item.XRayTubeCurrentInuA = rng.randrange(50_000, 300_000)
        item.ExposureTime = rng.randrange(2000, 12000)
        item.AcquisitionType = "SPIRAL"
        item.CTDIvol = round(ctdi_vol, 2)
        exposures.append(item)
        lines.append(f"Event={number} CTDIvol={ctdi_vol:.2f} DLP={ctdi_vol * length / 10:.1f}")
    ds.ExposureDoseSequence = exposures
    ds.TotalNumberOfExposures = len(exposures)
    ds.CommentsOnRadiationDose = "\r\n".join(lines)


def fill_toshiba_dose_summary(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the dose summary screen of Toshiba CT scanners: only to be read as an image, beside the series."""
    _secondary_capture(ds, match, ["DERIVED", "SECONDARY", "DISPLAY"])
    ds.Manufacturer = "TOSHIBA"
    ds.ManufacturerModelName = "Aquilion"


def _projection_exposure(ds: Dataset, rng: random.Random, *, kv: tuple[float, float]) -> None:
    exposure_mas = rng.uniform(0.5, 60)
    ds.KVP = round(rng.uniform(*kv), 1)
    ds.ExposureTime = rng.randrange(5, 400)
    ds.XRayTubeCurrent = rng.randrange(50, 500)
    ds.Exposure = round(exposure_mas)
    ds.ExposureInuAs = round(exposure_mas * 1000)
    ds.ImageAndFluoroscopyAreaDoseProduct = round(rng.uniform(0.05, 15), 4)
    ds.DistanceSourceToDetector = rng.choice((1000, 1150, 1800))
    ds.DistanceSourceToPatient = 950
    ds.FocalSpots = rng.choice((0.6, 1.2))
    ds.FilterMaterial = "ALUMINUM"


def fill_dx_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a digital radiograph with exposure and dose area product (dGy.cm2)."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY"])
    ds.PresentationIntentType = _PRESENTATION
    _projection_exposure(ds, rng, kv=(55, 125))
    ds.ExposureIndex = rng.randrange(100, 900)
    ds.DeviationIndex = round(rng.uniform(-3, 3), 1)
    ds.BodyPartExamined = rng.choice(("CHEST", "HAND", "PELVIS", "LSPINE"))
    ds.ViewPosition = rng.choice(("AP", "PA", "LL"))
    ds.ImageLaterality = "U"
    ds.PatientOrientation = ["L", "F"]
    ds.PixelIntensityRelationship = "LOG"
    ds.PixelIntensityRelationshipSign = -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.PresentationLUTShape = "IDENTITY"
    ds.LossyImageCompression = "00"
    ds.BurnedInAnnotation = "NO"
    ds.ImagerPixelSpacing = [0.15, 0.15]
    ds.DetectorType = "SCINTILLATOR"
    ds.AcquisitionContextSequence = []
    ds.AnatomicRegionSequence = [code("T-D3000", "SRT", "Chest")]
    _fill_pixels(ds, rng)


def fill_cr_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a computed radiograph: exposure, but hardly a dose area product."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY"])
    _projection_exposure(ds, rng, kv=(50, 120))
    del ds.ImageAndFluoroscopyAreaDoseProduct
    ds.RelativeXRayExposure = rng.randrange(100, 2000)
    ds.PlateType = "GP"
    ds.BodyPartExamined = "CHEST"
    ds.ViewPosition = "PA"
    ds.PatientOrientation = ["L", "F"]
    _fill_pixels(ds, rng)


def fill_px_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a panoramic dental radiograph."""
    fill_dx_image(ds, match)
    ds.BodyPartExamined = "JAW"
    ds.AnatomicRegionSequence = [code("T-D1213", "SRT", "Jaw region")]


def fill_mg_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a mammogram with compression, entrance dose (dGy, mGy) and organ dose (dGy)."""
    fill_dx_image(ds, match)
    rng = rng_for(match.uid + "mg")
    del ds.ImageAndFluoroscopyAreaDoseProduct
    ds.KVP = round(rng.uniform(26, 32), 1)
    ds.BodyPartExamined = "BREAST"
    ds.ImageLaterality = rng.choice("LR")
    ds.ViewPosition = rng.choice(("CC", "MLO"))
    ds.ViewCodeSequence = [code("R-10242", "SRT", "cranio-caudal")]
    ds.AnatomicRegionSequence = [code("T-04000", "SRT", "Breast")]
    ds.BreastImplantPresent = "NO"
    ds.CompressionForce = rng.randrange(40, 180)
    ds.BodyPartThickness = rng.randrange(25, 80)
    ds.AnodeTargetMaterial = "TUNGSTEN"
    ds.FilterMaterial = "RHODIUM"
    ds.OrganDose = round(rng.uniform(0.008, 0.025), 5)
    ds.EntranceDoseInmGy = round(rng.uniform(2, 9), 2)
    ds.PositionerType = "MAMMOGRAPHIC"
    ds.OrganExposed = "BREAST"


def fill_mg_for_processing(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the unprocessed twin of a mammogram."""
    fill_mg_image(ds, match)
    ds.PresentationIntentType = "FOR PROCESSING"


def fill_tomosynthesis(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a breast tomosynthesis volume of a few frames."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY", "TOMOSYNTHESIS", "NONE"])
    ds.PresentationIntentType = _PRESENTATION
    ds.ContentQualification = "PRODUCT"
    ds.SharedFunctionalGroupsSequence = [Dataset()]
    ds.PerFrameFunctionalGroupsSequence = [Dataset() for _ in range(3)]
    ds.BodyPartExamined = "BREAST"
    _fill_pixels(ds, rng, _Pixels(frames=3))


def fill_xa_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a short run of angiography or fluoroscopy."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY", "SINGLE PLANE"])
    _projection_exposure(ds, rng, kv=(60, 110))
    ds.RadiationSetting = "GR"
    ds.PositionerMotion = "STATIC"
    ds.PositionerPrimaryAngle = round(rng.uniform(-45, 45), 1)
    ds.PositionerSecondaryAngle = round(rng.uniform(-30, 30), 1)
    ds.PixelIntensityRelationship = "LIN"
    ds.FrameTime = 66
    ds.FrameIncrementPointer = 0x00181063
    _fill_pixels(ds, rng, _Pixels(bits=8, stored=8, frames=2))


def _radiopharmaceutical(ds: Dataset, match: ArchiveMatch, rng: random.Random, *, pet: bool) -> None:
    injected = study_moment(match.study) - dt.timedelta(hours=1)
    item = Dataset()
    item.Radiopharmaceutical = "Fluorodeoxyglucose" if pet else "Tc-99m MDP"
    item.RadiopharmaceuticalStartTime = injected.strftime("%H%M%S")
    item.RadiopharmaceuticalStartDateTime = injected.strftime("%Y%m%d%H%M%S")
    item.RadionuclideTotalDose = round(rng.uniform(1.5e8, 4e8)) if pet else round(rng.uniform(300, 700))
    item.RadionuclideHalfLife = 6586.2 if pet else 21624.1
    nuclide = ("C-111A1", "SRT", "^18^Fluorine") if pet else ("C-163A8", "SRT", "^99m^Technetium")
    item.RadionuclideCodeSequence = [code(*nuclide)]
    if pet:
        item.RadionuclidePositronFraction = 0.9673
    ds.RadiopharmaceuticalInformationSequence = [item]


def fill_pet_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add one slice of a PET series with its radiopharmaceutical."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY"])
    _plane_position(ds, match)
    _radiopharmaceutical(ds, match, rng_for(match.study.study_instance_uid), pet=True)
    count = len(match.series.instances) if match.series is not None else 1
    number = match.instance.instance_number if match.instance is not None else None
    ds.Units = "BQML"
    ds.CountsSource = "EMISSION"
    ds.SeriesType = ["WHOLE BODY", "IMAGE"]
    ds.NumberOfSlices = count
    ds.CorrectedImage = ["DECY", "ATTN"]
    ds.DecayCorrection = "START"
    ds.FrameReferenceTime = 0
    ds.ImageIndex = number or 1
    ds.RescaleIntercept, ds.RescaleSlope = 0, 1
    ds.PatientOrientationCodeSequence = [code("F-10450", "SRT", "recumbent")]
    _fill_pixels(ds, rng)


def fill_nm_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a planar scintigram with its radiopharmaceutical."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"])
    _radiopharmaceutical(ds, match, rng_for(match.study.study_instance_uid), pet=False)
    ds.EnergyWindowVector, ds.DetectorVector = 1, 1
    ds.NumberOfEnergyWindows = ds.NumberOfDetectors = 1
    ds.FrameIncrementPointer = [0x00540010, 0x00540020]
    ds.CountsAccumulated = rng.randrange(500_000, 2_000_000)
    ds.ActualFrameDuration = 300_000
    ds.PixelSpacing = [4.8, 4.8]
    _fill_pixels(ds, rng)
    ds.NumberOfFrames = 1


def fill_mr_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a slice of magnetic resonance: no dose at all."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY", "M"])
    _plane_position(ds, match)
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "SE", "NONE", ""
    ds.MRAcquisitionType = "2D"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = 500, 15, 1
    _fill_pixels(ds, rng)


def fill_us_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add an ultrasound picture: no dose at all."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY"])
    _fill_pixels(ds, rng, _Pixels(bits=8, stored=8))


def fill_ophthalmic_image(ds: Dataset, match: ArchiveMatch) -> None:
    """Add an ophthalmic tomogram, whose code OPT is not that of PET."""
    rng = _acquired(ds, match, ["ORIGINAL", "PRIMARY"])
    ds.ImageLaterality = rng.choice("LR")
    _fill_pixels(ds, rng, _Pixels(bits=8, stored=8, frames=2))
