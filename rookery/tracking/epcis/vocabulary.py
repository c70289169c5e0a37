"""The standard's words (CBV 2.0): what a scan can say in one word, and the forms in which that word travels.

A word is sent short ("shipping"), as a web address (https://ref.gs1.org/cbv/BizStep-shipping) or, from senders of the
version before, as a URN (urn:epcglobal:cbv:bizstep:shipping). All three say the same. Words of a sender's own are URIs
and are never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Kind = Literal[
    "bizStep",
    "disposition",
    "errorReason",
    "bizTransactionType",
    "sourceDestType",
    "measurementType",
    "alertType",
    "component",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORDS: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        "bizStep": _words(
            """accepting arriving assembling collecting commissioning consigning creating_class_instance cycle_counting
            decommissioning departing destroying disassembling dispensing encoding entering_exiting holding inspecting
            installing killing loading other packing picking receiving removing repackaging repairing replacing
            reserving retail_selling sampling sensor_reporting shipping staging_outbound stock_taking stocking storing
            transporting unloading unpacking void_shipping"""
        ),
        "disposition": _words(
            """active available completeness_inferred completeness_verified conformant container_closed container_open
            damaged destroyed dispensed disposed encoded expired in_progress in_transit inactive mismatch_class
            mismatch_instance mismatch_quantity needs_replacement no_pedigree_match non_conformant non_sellable_other
            partially_dispensed recalled reserved retail_sold returned sellable_accessible sellable_not_accessible
            stolen unavailable unknown"""
        ),
        "errorReason": _words("did_not_occur incorrect_data"),
        "bizTransactionType": _words("bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt"),
        "sourceDestType": _words("owning_party possessing_party location"),
        "measurementType": _words(
            """AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance
            AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area Capacitance
            Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity
            ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency
            Illuminance Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux
            LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration
            MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power
            Pressure RadiantFlux RadiantIntensity Radioactivity RelativeHumidity Resistance Resistivity SolidAngle
            SpecificVolume Speed SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate
            VolumeFraction VolumetricFlux Wavenumber"""
        ),
        "alertType": _words("ALARM_CONDITION ERROR_CONDITION"),
        "component": _words(
            """altitude axial_distance azimuth easting elevation_angle height latitude longitude northing polar_angle
            spherical_radius x y z"""
        ),
    }
)

CBV = "https://ref.gs1.org/cbv/"
VOC = "https://gs1.org/voc/"
_STEM: dict[Kind, str] = {  # what the written-out web address puts before the word
    "bizStep": CBV + "BizStep-",
    "disposition": CBV + "Disp-",
    "errorReason": CBV + "ER-",
    "bizTransactionType": CBV + "BTT-",
    "sourceDestType": CBV + "SDT-",
    "measurementType": VOC,
    "alertType": VOC,
    "component": CBV + "Comp-",
}
_URN: dict[Kind, str] = {  # version 1.2 had no sensors, so no URNs for their words
    "bizStep": "urn:epcglobal:cbv:bizstep:",
    "disposition": "urn:epcglobal:cbv:disp:",
    "errorReason": "urn:epcglobal:cbv:er:",
    "bizTransactionType": "urn:epcglobal:cbv:btt:",
    "sourceDestType": "urn:epcglobal:cbv:sdt:",
}
_SAME_STEM = {  # other hosts, schemes and prefixes under which the same words are published or were
    CBV: (CBV, "http://ref.gs1.org/cbv/", "https://ns.gs1.org/cbv/", "http://ns.gs1.org/cbv/", "cbv:"),
    VOC: (
        VOC,
        "http://gs1.org/voc/",
        "https://www.gs1.org/voc/",
        "http://www.gs1.org/voc/",
        "https://ns.gs1.org/voc/",
        "http://ns.gs1.org/voc/",
        "https://ref.gs1.org/voc/",
        "gs1:",
    ),
}

EVENT_TYPES = ("ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent")
ACTIONS = ("OBSERVE", "ADD", "DELETE")


def _long_forms() -> dict[str, tuple[Kind, str]]:
    forms: dict[str, tuple[Kind, str]] = {}
    for kind, words in WORDS.items():
        stem = _STEM[kind]
        root = CBV if stem.startswith(CBV) else VOC
        stems = [other + stem.removeprefix(root) for other in _SAME_STEM[root]]
        if kind in _URN:
            stems.append(_URN[kind])
        for word in words:
            forms.update((start + word, (kind, word)) for start in stems)
    return forms


_LONG = _long_forms()
_WEB = {kind: {word: _STEM[kind] + word for word in words} for kind, words in WORDS.items()}

_KIND_OF_FIELD: dict[str, Kind] = {
    "bizStep": "bizStep",
    "disposition": "disposition",
    "set": "disposition",
    "unset": "disposition",
    "reason": "errorReason",
    "exception": "alertType",
    "component": "component",
}
_KIND_OF_TYPE: dict[str, Kind] = {
    "bizTransactionList": "bizTransactionType",
    "sourceList": "sourceDestType",
    "destinationList": "sourceDestType",
    "sensorReport": "measurementType",
}


def short(word: str) -> str:
    """A standard word in its short form, from any of its forms; any other word as it came."""
    found = _LONG.get(word)
    return found[1] if found else word


def web(word: str, kind: Kind) -> str:
    """A standard word of this kind written out as its web address, from any of its forms; any other word as it came."""
    found = _LONG.get(word)
    if found:
        return _WEB[found[0]][found[1]] if found[0] == kind else word
    return _WEB[kind].get(word, word)


def urn(word: str, kind: Kind) -> str:
    """A standard word as the URN of CBV 1.2; its web address where that version had none; any other word as it came."""
    name = short(word)
    if name not in WORDS[kind]:
        return word
    return _URN.get(kind, _STEM[kind]) + name


def kind_of(field: str, holder: str = "") -> Kind | None:
    """Which words a field holds, by its name; for `type`, by the list its holder stands in ("sourceList")."""
    return _KIND_OF_TYPE.get(holder) if field == "type" else _KIND_OF_FIELD.get(field)
