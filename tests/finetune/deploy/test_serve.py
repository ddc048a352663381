"""The server of a classifier: many clients, addresses, signals and faults."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest

from finetune.deploy.config import ServeConfig
from finetune.deploy.serve import ModelServer, listen, serve
from stackbert.core.errors import StackbertError
from tests.finetune.deploy.clients import ask_from_many
from tests.finetune.deploy.servers import LIMITS, ask, connection_to, running
from tests.paths import ROOT


def test_the_server_lives_before_it_is_ready(mysql_model, monkeypatch):
    loads = threading.Event()

    def slow_load(model):
        loads.wait(20)
        raise StackbertError("the classifier is damaged")

    monkeypatch.setattr("finetune.deploy.serve.load_bundle", slow_load)
    with listen("127.0.0.1", 0) as listener:
        server = ModelServer(mysql_model, LIMITS, listener)
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(asyncio.run, server.run())
            assert ask(server.address, "/health")[0] == 200
            for path, body in (("/ready", None), ("/", None), ("/predict", b'{"text": "a"}')):
                status, headers, content = ask(server.address, path, body)
                assert (status, headers["retry-after"]) == (503, "1")
                assert "is being loaded" in json.loads(content)["error"]
            loads.set()
            with pytest.raises(StackbertError, match="the classifier is damaged"):
                ending.result(20)


def test_many_clients_at_once_are_all_answered(address):
    """Thirty-two requests at once were a burst that lost a third of them to resets."""
    outcome = ask_from_many(address, clients=64, seconds=2, new_connections=True)
    assert outcome.failures == {} and outcome.wrong == 0
    assert outcome.statuses.keys() == {200} and outcome.statuses.total() >= 64


def test_requests_beyond_the_queue_are_told_when_to_come_back(mysql_model):
    config = ServeConfig(max_waiting=4, max_texts=4, batch_texts=2, batch_wait_milliseconds=50)
    with running(mysql_model, config) as server, ThreadPoolExecutor(16) as pool:
        body = json.dumps({"texts": ["a", "b", "c"]}).encode()
        answers = list(pool.map(lambda _: ask(server.address, "/predict", body), range(16)))
    assert {status for status, _, _ in answers} == {200, 503}
    refused = next((headers, content) for status, headers, content in answers if status == 503)
    assert refused[0]["retry-after"] == "1" and "more than 4 texts" in json.loads(refused[1])["error"]


def test_batches_of_any_size_do_not_trace_anew(mysql_model, server, retracing_warnings):
    with ThreadPoolExecutor(13) as pool:
        for clients in range(1, 14):
            bodies = [json.dumps({"texts": ["mysql rows " * 9] * (1 + n % 5)}).encode() for n in range(clients)]
            assert {
                ask_status for ask_status, _, _ in pool.map(lambda b: ask(server.address, "/predict", b), bodies)
            } == {200}
    assert retracing_warnings() == []


def test_a_failure_of_the_model_is_answered_and_later_requests_too(mysql_model, monkeypatch, caplog):
    with running(mysql_model, ServeConfig()) as server:
        with monkeypatch.context() as patch:
            patch.setattr("finetune.deploy.labelling.read_texts", lambda bundle, texts: 1 / 0)
            status, _, content = ask(server.address, "/predict", b'{"text": "a"}')
            assert (status, json.loads(content)) == (500, {"error": "the server failed; its log says why"})
        assert ask(server.address, "/predict", b'{"text": "a"}')[0] == 200
    assert "ZeroDivisionError" in caplog.text


def test_a_client_that_leaves_does_no_harm(address):
    where = urllib.parse.urlsplit(address)
    for sent in (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n{",
        b"GET",
        b"\x16\x03\x01 not http\r\n\r\n",
    ):
        with socket.create_connection((where.hostname, where.port)) as client:
            client.sendall(sent)
    assert ask(address, "/health")[0] == 200


def test_addresses_that_cannot_be_listened_on_are_errors(address, mysql_model):
    port = urllib.parse.urlsplit(address).port
    with pytest.raises(StackbertError, match=f"^127.0.0.1:{port}: Address already in use; choose another --port$"):
        serve(mysql_model, ServeConfig(port=port))
    with pytest.raises(
        StackbertError, match=r"^192\.0\.2\.1:0: Cannot assign .* name an address of this machine as --host"
    ):
        listen("192.0.2.1", 0)
    for host in ("no such host", "nowhere.invalid", "a" * 70 + ".org", "."):
        with pytest.raises(StackbertError, match="no such address; name one of this machine"):
            listen(host, 0)
    for port in (65_536, 99_999, -1):
        with pytest.raises(StackbertError, match=f"port {port}: must be from 0 to 65535"):
            ServeConfig(port=port)


def test_an_answer_is_sent_without_waiting_for_acknowledgements():
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_localhost_is_listened_on_where_most_clients_look():
    with listen("localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_folder_without_a_classifier_is_an_error_before_anything_is_loaded(tmp_path):
    with pytest.raises(StackbertError, match=r"no classifier\.json, so this is not a fine-tuned classifier"):
        serve(tmp_path, ServeConfig(port=0))


def test_a_damaged_classifier_ends_the_server_in_words(mysql_model, tmp_path):
    shutil.copytree(mysql_model, tmp_path / "model")
    (tmp_path / "model" / "head.safetensors").write_bytes(b"no weights")
    with pytest.raises(StackbertError, match=r"head\.safetensors: cannot be read"):
        serve(tmp_path / "model", ServeConfig(port=0))


def test_signals_end_it_with_success_once_requests_are_answered(mysql_model, tmp_path):
    """The request's body is still on its way when the signals come."""
    command = [sys.executable, "-m", "stackbert", "finetune", "serve", str(mysql_model), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TF_XLA_FLAGS", None)  # the tests' cache, which XLA writes lines about
    with (
        (tmp_path / "errors").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,
    ):
        address = process.stdout.readline().split()[0]
        connection = connection_to(address)
        body = b'{"text": "sort in mysql"}'
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)  # supervisors may repeat it
        connection.send(body[5:])
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["labels"][0]["name"] == "mysql"
        connection.close()
        out, _ = process.communicate()
    assert (process.returncode, out) == (0, "stopped; requests answered: 1\n")
    assert (tmp_path / "errors").read_text() == ""


def test_requests_that_do_not_end_in_time_are_told_that_the_server_stops(mysql_model):
    with running(mysql_model, ServeConfig(stop_seconds=0)) as server:
        connection = connection_to(server.address)
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", "30")
        connection.endheaders(b'{"text"')
        time.sleep(0.3)
        server.stop()
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (503, {"error": "the server is stopping"})
        connection.close()
