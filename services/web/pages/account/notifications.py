"""Addresses of notifications: one's own, and for administrators those of the installation."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.forms.notification import KIND_NAMES, OUTCOME_NAMES, SYSTEM_KIND_NAMES, AddressForm
from services.web.language import gettext, language, translated
from services.web.security.sessions import ADMINS, audit, me, requires
from shared.database.models import NotificationAddress, User
from shared.database.session import Session
from shared.errors import InvalidInputError, PermanentError
from shared.notifications import addresses
from shared.notifications.outbox import recent_deliveries
from shared.notifications.results import NotificationAddressResult

blueprint = Blueprint("notifications", __name__, url_prefix="/notifications")

#: Deliveries that are shown.
SHOWN = 20


@blueprint.get("")
def listing() -> ResponseReturnValue:
    """List one's own addresses, and what was sent there last."""
    return _listing(system=False)


@blueprint.get("/system")
@requires(*ADMINS)
def system_listing() -> ResponseReturnValue:
    """List the addresses of the installation, and what could not be sent to anybody."""
    return _listing(system=True)


@blueprint.get("/add")
def add() -> ResponseReturnValue:
    """Show the form of a new address."""
    return _new_form(system=False)


@blueprint.post("/add")
def create() -> ResponseReturnValue:
    """Add an address of one's own."""
    return _create(system=False)


@blueprint.get("/system/add")
@requires(*ADMINS)
def system_add() -> ResponseReturnValue:
    """Show the form of a new address of the installation."""
    return _new_form(system=True)


@blueprint.post("/system/add")
@requires(*ADMINS)
def system_create() -> ResponseReturnValue:
    """Add an address of the installation."""
    return _create(system=True)


@blueprint.get("/<int:address_id>/edit")
def edit(address_id: int) -> ResponseReturnValue:
    """Show the form of an address."""
    shown = _shown(address_id)
    form = _form(system=shown["system"], present=shown["address"])
    form.fill(shown)
    return _form_page(form, shown, system=shown["system"])


@blueprint.post("/<int:address_id>/edit")
def change(address_id: int) -> ResponseReturnValue:
    """Change an address."""
    shown = _shown(address_id)
    form = _form(system=shown["system"], present=shown["address"])
    given = form.read(stays=True)
    if given is not None:
        changes = given.model_dump(exclude={"paused"})
        if not form.address.data:
            del changes["address"]
        try:
            with components().database.write() as session:
                row = _row(session, address_id, lock=True)
                settings = components().settings
                policy, cipher = settings.address_policy, addresses.cipher_of(settings)
                addresses.edit_address(session, row, changes, policy, cipher, components().clock())
        except InvalidInputError as error:
            form.refuse(error)
        else:
            audit("notification address edited", address_id=address_id)
            flash(gettext("The address %(name)s is changed.", name=given.name), "success")
            return _back(system=shown["system"])
    return _form_page(form, shown, system=shown["system"]), HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.post("/<int:address_id>/test")
def try_now(address_id: int) -> ResponseReturnValue:
    """Send a test message now, and show what its server did."""
    shown = _shown(address_id)
    try:
        result = components().address_trial.run(address_id)
    except PermanentError as error:
        flash(gettext("Not tested: %(error)s.", error=translated(error)), "warning")
        return _back(system=shown["system"])
    audit("notification address tested", address_id=address_id, sent=result.sent)
    if result.sent:
        flash(
            gettext("The test was sent to %(name)s. The server accepted it.", name=shown["name"]), "success"
        )
    else:
        text = gettext(
            "The test was not sent to %(name)s: %(detail)s",
            name=shown["name"],
            detail=translated(result.detail),
        )
        flash(text, "danger")
    return _back(system=shown["system"])


@blueprint.post("/<int:address_id>/pause")
def pause(address_id: int) -> ResponseReturnValue:
    """Send nothing there, until it is resumed."""
    with components().database.write() as session:
        row = _row(session, address_id, lock=True)
        addresses.pause(session, row, components().clock())
    audit("notification address paused", address_id=address_id)
    return _back(system=row.owner_id is None)


@blueprint.post("/<int:address_id>/resume")
def resume(address_id: int) -> ResponseReturnValue:
    """Send there again what happens from now on."""
    with components().database.write() as session:
        row = _row(session, address_id, lock=True)
        addresses.resume(row)
    audit("notification address resumed", address_id=address_id)
    return _back(system=row.owner_id is None)


@blueprint.post("/<int:address_id>/remove")
def remove(address_id: int) -> ResponseReturnValue:
    """Remove an address."""
    with components().database.write() as session:
        row = _row(session, address_id, lock=True)
        name, system = row.name, row.owner_id is None
        addresses.remove_address(session, row)
    audit("notification address removed", address_id=address_id, address_name=name)
    flash(gettext("The address %(name)s is removed.", name=name), "success")
    return _back(system=system)


def _listing(*, system: bool) -> str:
    with components().database.read() as session:
        rows = addresses.list_addresses(session, None if system else me().id)
        shown = [addresses.address_json(row) for row in rows]
        sent = recent_deliveries(session, [row.id for row in rows], SHOWN, (), translated)
        failed = recent_deliveries(session, None, SHOWN, ("failed",), translated) if system else []
    return render_template(
        "notifications/list.html",
        addresses=shown,
        deliveries=sent,
        failed=failed,
        system=system,
        kind_names=SYSTEM_KIND_NAMES if system else KIND_NAMES,
        outcome_names=OUTCOME_NAMES,
    )


def _new_form(*, system: bool) -> str:
    form = _form(system=system)
    form.kinds.data = list(form.kinds.choices or ())
    form.outcomes.data = ["incomplete", "failed"]
    form.digest_at.data = "07:00"
    form.language.data = language()
    return _form_page(form, None, system=system)


def _create(*, system: bool) -> ResponseReturnValue:
    form = _form(system=system)
    given = form.read()
    if given is not None:
        settings = components().settings
        policy, cipher = settings.address_policy, addresses.cipher_of(settings)
        try:
            with components().database.write() as session:
                owner = None if system else session.get_one(User, me().id)
                row = addresses.add_address(session, given, owner, policy, cipher, components().clock())
        except InvalidInputError as error:
            form.refuse(error)
        else:
            audit("notification address added", address_id=row.id, address_name=row.name, system=system)
            text = gettext("The address %(name)s is added. Test it to see what arrives.", name=row.name)
            flash(text, "success")
            return _back(system=system)
    return _form_page(form, None, system=system), HTTPStatus.UNPROCESSABLE_ENTITY


def _form(*, system: bool, present: str = "") -> AddressForm:
    form = AddressForm()
    mail = bool(components().settings.notification_mail_url)
    form.offer(None if system else me().role, mail=mail, present=present)
    return form


def _form_page(form: AddressForm, address: NotificationAddressResult | None, *, system: bool) -> str:
    return render_template("notifications/form.html", form=form, address=address, system=system)


def _back(*, system: bool) -> ResponseReturnValue:
    return redirect(url_for("notifications.system_listing" if system else "notifications.listing"))


def _shown(address_id: int) -> NotificationAddressResult:
    with components().database.read() as session:
        return addresses.address_json(_row(session, address_id))


def _row(session: Session, address_id: int, *, lock: bool = False) -> NotificationAddress:
    """Return an address of one's own, or (administrators only) of the installation."""
    row = session.get(NotificationAddress, address_id, with_for_update=lock or None)
    if row is None or row.owner_id not in ({me().id, None} if me().administers else {me().id}):
        abort(HTTPStatus.NOT_FOUND)
    return row
