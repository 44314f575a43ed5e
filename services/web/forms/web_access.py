"""The fields of a node that speaks DICOMweb; their values are validated by shared code."""

from __future__ import annotations

from wtforms import RadioField, StringField

from services.web.language import choices, lazy_gettext
from shared.dicomweb.http.address import URL_MAX_LENGTH
from shared.nodes.web_access import SCOPE_MAX_LENGTH, SECRET_FILE_MAX_LENGTH, USER_MAX_LENGTH

_TYPED = {"autocapitalize": "off", "autocomplete": "off"}
_ADDRESS = {**_TYPED, "maxlength": URL_MAX_LENGTH, "inputmode": "url"}


class WebFields:
    """How a node is called by DICOMweb; a part of its form."""

    protocol = RadioField(
        lazy_gettext("Protocol"),
        choices=choices(
            {
                "dimse": lazy_gettext("DIMSE: C-FIND, and C-MOVE or C-GET, at the host and port above"),
                "dicomweb": lazy_gettext("DICOMweb: QIDO-RS and WADO-RS, at the address below"),
            }
        ),
        default="dimse",
        validate_choice=False,
        description=lazy_gettext("For DICOMweb, host, port and AE titles are left aside."),
    )
    web_url = StringField(
        lazy_gettext("Address"),
        description=lazy_gettext("For example https://pacs.example/dicom-web: below it lies /studies."),
        render_kw=_ADDRESS,
    )
    web_qido_url = StringField(
        lazy_gettext("Address of QIDO-RS"),
        description=lazy_gettext("Only where it is another one."),
        render_kw=_ADDRESS,
    )
    web_wado_url = StringField(
        lazy_gettext("Address of WADO-RS"),
        description=lazy_gettext("Only where it is another one."),
        render_kw=_ADDRESS,
    )
    web_authentication = RadioField(
        lazy_gettext("Authentication"),
        choices=choices(
            {
                "none": lazy_gettext("None"),
                "basic": lazy_gettext("User and password (Basic)"),
                "bearer": lazy_gettext("Bearer token from a file"),
                "oauth": lazy_gettext("OAuth 2.0 client credentials"),
            }
        ),
        default="none",
        validate_choice=False,
    )
    web_user = StringField(
        lazy_gettext("User name or client ID"), render_kw={**_TYPED, "maxlength": USER_MAX_LENGTH}
    )
    web_secret_file = StringField(
        lazy_gettext("File with the secret"),
        description=lazy_gettext(
            "Password, token or client secret: a file in the folder of DOSEQR_SECRETS_DIR on the server, by "
            "its name. It is read whenever it is needed, and shown nowhere."
        ),
        render_kw={**_TYPED, "maxlength": SECRET_FILE_MAX_LENGTH},
    )
    web_token_url = StringField(
        lazy_gettext("Address of the token server"),
        description=lazy_gettext("For OAuth 2.0 alone."),
        render_kw=_ADDRESS,
    )
    web_scope = StringField(
        lazy_gettext("Scope"),
        description=lazy_gettext("For OAuth 2.0 alone; often empty."),
        render_kw={**_TYPED, "maxlength": SCOPE_MAX_LENGTH},
    )
    web_timeout_s = StringField(
        lazy_gettext("Seconds for a response"),
        description=lazy_gettext("1 to 3600; empty: as for DIMSE."),
        render_kw={"inputmode": "numeric"},
    )
