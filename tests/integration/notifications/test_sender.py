"""Notifications reach real servers, and what these do is said in words and harms nobody."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from shared.configuration.notifications import SCHEMES_DEFAULT
from shared.notifications.texts import NoticeText
from shared.notifications.transport.address import AddressPolicy, Target, parse_address
from shared.notifications.transport.sender import Sender
from tests.support.ports import free_port
from tests.support.servers.receivers import mail_server, webhook

POLICY = AddressPolicy(frozenset(SCHEMES_DEFAULT), local=True)
TEXT = NoticeText(
    "DoseQR: Nightly CT: incomplete", "The recurring query …\nhttps://doseqr.example.org/schedules/3"
)


def send(address: str, policy: AddressPolicy = POLICY, timeout_s: float = 5.0):
    return Sender(policy, timeout_s).send(parse_address(address, policy), TEXT)


def test_a_mail_arrives_with_its_title_and_text():
    with mail_server() as server:
        # When
        result = send(server.url)
    # Then
    assert (result.sent, result.detail) == (True, "The server accepted it.")
    assert server.recipients == ["eve@example.org"]
    assert server.subjects == [TEXT.title]
    body = server.mails[0].get_body(("plain", "html"))
    assert body is not None
    assert "https://doseqr.example.org/schedules/3" in body.get_content()


def test_a_plain_address_goes_by_the_mail_server_of_the_site():
    with mail_server() as server:
        # Given
        mail_url = f"mailto://127.0.0.1:{server.port}/?from=doseqr@example.org&mode=insecure"
        # When: neither this machine nor any host is allowed to addresses of users.
        result = send("eve@example.org", replace(POLICY, local=False, hosts=("x",), mail_url=mail_url))
    # Then
    assert result.sent, result.detail
    assert server.recipients == ["eve@example.org"]


def test_a_webhook_gets_the_text_as_json():
    with webhook() as hook:
        # When
        result = send(f"{hook.url}/hooks/7")
    # Then
    assert result.sent, result.detail
    path, body = hook.posts[0]
    assert (path, body["title"], body["message"]) == ("/hooks/7", TEXT.title, TEXT.body)


def test_a_server_that_rejects_is_named_without_the_address():
    with mail_server("reject") as server:
        # When
        result = send(server.url)
    # Then
    assert not result.sent
    assert "550" in result.detail
    assert "eve@example.org" not in result.detail


def test_a_refused_connection_is_named_without_the_secret():
    # When
    result = send(f"json://user:hunter22@127.0.0.1:{free_port()}/hooks/s3cr3t?token=abcdefgh")
    # Then
    assert (result.sent, result.final) == (False, False)
    assert "Connection refused" in result.detail
    for secret in ("hunter22", "s3cr3t", "abcdefgh", "hooks"):
        assert secret not in result.detail


def test_a_status_of_a_webhook_is_named():
    with webhook() as hook:
        hook.status = 503
        # When
        result = send(hook.url)
    # Then
    assert not result.sent
    assert "503" in result.detail


def test_a_server_that_hangs_ends_with_the_time_out():
    with mail_server("hang") as server:
        began = time.monotonic()
        # When
        result = send(server.url, timeout_s=1.0)
        # Then
        assert time.monotonic() - began < 15.0
        assert "timed out" in result.detail
        server.over.set()


def test_a_sender_that_stops_ends_what_is_under_way():
    # Given
    sender = Sender(POLICY, 60.0)
    with mail_server("hang") as server:
        results: list[object] = []
        thread = threading.Thread(
            target=lambda: results.append(sender.send(parse_address(server.url, POLICY), TEXT))
        )
        thread.start()
        assert server.reached.wait(30)
        # When
        sender.stop()
        thread.join(10)
        # Then
        assert len(results) == 1
        assert not sender.send(parse_address(server.url, POLICY), TEXT).sent


def test_this_machine_itself_is_not_reached_unless_allowed():
    with webhook() as hook:
        # When
        result = send(hook.url.replace("127.0.0.1", "localhost"), replace(POLICY, local=False))
    # Then
    assert (result.sent, result.final, hook.posts) == (False, True, [])
    assert "DOSEQR_NOTIFICATION_LOCAL_HOSTS" in result.detail


def test_the_metadata_of_a_cloud_is_never_reached():
    # When
    result = send("json://169.254.169.254/latest")
    # Then
    assert result.final
    assert "169.254.169.254 is not allowed" in result.detail


def test_a_host_that_is_not_in_the_list_is_not_reached():
    with webhook() as hook:
        # When
        result = send(hook.url, replace(POLICY, hosts=("mail.example.org",)))
    # Then
    assert (result.final, hook.posts) == (True, [])
    assert "DOSEQR_NOTIFICATION_HOSTS" in result.detail


def test_a_redirect_is_not_followed():
    with webhook() as hook, webhook() as other:
        hook.status, hook.location = 307, f"http://127.0.0.1:{other.port}/"
        # When
        result = send(hook.url)
    # Then
    assert not result.sent
    assert other.posts == []


def test_no_file_of_this_machine_is_read(tmp_path):
    # Given: an address that got past the checks, with a template that is a file.
    secret = tmp_path / "secret.json"
    secret.write_text('{"text": "patient"}', encoding="utf-8")
    target = Target(f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?template={secret}", "slack://…")
    # When
    result = Sender(replace(POLICY, hosts=("nowhere.example.org",)), 5.0).send(target, TEXT)
    # Then
    assert not result.sent
    assert "patient" not in result.detail
