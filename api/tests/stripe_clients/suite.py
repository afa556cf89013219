"""Stripe's own client library, unchanged, against the sandbox, or against Stripe in test mode.

Arguments: the base URL of the API, the secret key, and `sandbox` or `stripe`.

Against the sandbox it listens for webhooks first and prints `LISTENING <port>`, so that the sandbox can be started with
that address; it then reads the base URL from its standard input. Every step prints `ok <name>`.
The first step that fails ends everything with a traceback.
"""

import datetime
import http.server
import json
import sys
import threading
import time
import urllib.request
import uuid

import stripe

PLATFORM_SECRET = "whsec_platform"
CONNECT_SECRET = "whsec_connect"
PATIENCE = 30

deliveries = []


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what is delivered."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        deliveries.append((self.path, self.headers["Stripe-Signature"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def fails(kind, call, **wanted):
    """The call raises exactly this kind of error, with these members."""
    try:
        call()
    except stripe.StripeError as error:
        assert type(error) is kind, f"{type(error).__name__} is no {kind.__name__}: {error}"
        for name, value in wanted.items():
            assert getattr(error, name) == value, f"{name} is {getattr(error, name)!r}, not {value!r}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def unique():
    return uuid.uuid4().hex


class Suite:
    def __init__(self, base, key, sandbox):
        stripe.api_key = key
        stripe.max_network_retries = 0
        if base:
            stripe.api_base = base
        self.base, self.key, self.sandbox = base, key, sandbox
        self.group = f"group-{unique()}"

    def paid(self, token="pm_card_visa", amount=105000, **more):
        fields = {
            "amount": amount,
            "currency": "usd",
            "payment_method": token,
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"suite": self.group},
            "transfer_group": self.group,
        }
        return stripe.PaymentIntent.create(**{**fields, **more})

    def control(self, path, body=None, method="POST"):
        """What only the sandbox has."""
        request = urllib.request.Request(
            f"{self.base}/_sandbox/{path}",
            data=json.dumps(body if body is not None else {}).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    # What works.

    def payment_intents(self):
        made = stripe.PaymentIntent.create(amount=2000, currency="usd", payment_method_types=["card"])
        assert (made.object, made.status, made.livemode) == ("payment_intent", "requires_payment_method", False)
        confirmed = stripe.PaymentIntent.confirm(made.id, payment_method="pm_card_visa")
        assert (confirmed.id, confirmed.status, confirmed.amount_received) == (made.id, "succeeded", 2000)
        shown = stripe.PaymentIntent.retrieve(made.id, expand=["latest_charge.balance_transaction"])
        assert shown.latest_charge.object == "charge" and shown.latest_charge.paid is True
        other = stripe.PaymentIntent.create(amount=2000, currency="usd", payment_method_types=["card"])
        cancelled = stripe.PaymentIntent.cancel(other.id, cancellation_reason="abandoned")
        assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
        error = fails(
            stripe.InvalidRequestError,
            lambda: stripe.PaymentIntent.cancel(made.id),
            code="payment_intent_unexpected_state",
            http_status=400,
        )
        assert error.error.payment_intent.id == made.id
        fails(stripe.InvalidRequestError, lambda: stripe.PaymentIntent.retrieve("pi_none"), code="resource_missing")

    def three_d_secure(self):
        waiting = self.paid("pm_card_authenticationRequired")
        assert waiting.status == "requires_action" and waiting.next_action.type == "use_stripe_sdk"
        stripe.PaymentIntent.cancel(waiting.id)

    def declines(self):
        declined = [
            ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
            ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
            ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
            ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
            ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
        ]
        for token, code, decline_code in declined:
            error = fails(stripe.CardError, lambda token=token: self.paid(token), code=code, http_status=402)
            if decline_code:
                assert error.error.decline_code == decline_code, token
            assert error.error.payment_intent.status == "requires_payment_method"
        again = stripe.PaymentIntent.confirm(error.error.payment_intent.id, payment_method="pm_card_visa")
        assert again.status == "succeeded", "another card pays the same intent"

    def charges_and_search(self):
        paid = self.paid(metadata={"order": self.group})
        charge = stripe.Charge.retrieve(paid.latest_charge)
        assert (charge.payment_intent, charge.metadata["order"]) == (paid.id, self.group)
        assert [charge.id for charge in stripe.Charge.list(payment_intent=paid.id)] == [charge.id]
        # Stripe's index is brought up to date within a minute.
        deadline = time.monotonic() + (PATIENCE if self.sandbox else 180)
        while True:
            found = stripe.PaymentIntent.search(query=f"metadata['order']:'{self.group}'")
            if len(found.data) or time.monotonic() > deadline:
                break
            time.sleep(2)
        assert (found.object, [intent.id for intent in found.data]) == ("search_result", [paid.id])

    def refunds(self):
        paid = self.paid("pm_card_bypassPending")
        refund = stripe.Refund.create(payment_intent=paid.id, amount=5000, metadata={"refund": "one"})
        assert (refund.object, refund.amount, refund.status) == ("refund", 5000, "succeeded")
        assert stripe.Refund.retrieve(refund.id).metadata["refund"] == "one"
        assert [one.id for one in stripe.Refund.list(payment_intent=paid.id)] == [refund.id]
        fails(stripe.InvalidRequestError, lambda: stripe.Refund.cancel(refund.id))
        rest = stripe.Refund.create(payment_intent=paid.id)
        assert rest.amount == 100000
        fails(
            stripe.InvalidRequestError,
            lambda: stripe.Refund.create(payment_intent=paid.id),
            code="charge_already_refunded",
        )

    def accounts_and_transfers(self):
        self.paid("pm_card_bypassPending")
        account = self.account()
        assert stripe.Account.retrieve(account).id == account
        transfer = stripe.Transfer.create(
            amount=40000, currency="usd", destination=account, transfer_group=self.group
        )
        assert (transfer.object, transfer.destination, transfer.reversed) == ("transfer", account, False)
        assert [one.id for one in stripe.Transfer.list(transfer_group=self.group)] == [transfer.id]
        assert stripe.Transfer.retrieve(transfer.id).amount == 40000
        balance = stripe.Balance.retrieve(stripe_account=account)
        assert [(part.amount, part.currency) for part in balance.available] == [(40000, "usd")]
        payout = stripe.Payout.create(
            amount=40000, currency="usd", metadata={"payout": "one"}, stripe_account=account
        )
        assert (payout.object, payout.status, payout.amount) == ("payout", "pending", 40000)
        assert stripe.Payout.retrieve(payout.id, stripe_account=account).metadata["payout"] == "one"
        assert [one.id for one in stripe.Payout.list(stripe_account=account)] == [payout.id]
        fails(
            stripe.InvalidRequestError,
            lambda: stripe.Payout.create(amount=1, currency="usd", stripe_account=account),
            code="balance_insufficient",
        )

    def account(self):
        """A payee's account that may be paid out. At Stripe one is onboarded by hand, and named in the environment."""
        account = stripe.Account.create(type="express", country="US", metadata={"suite": self.group})
        assert account.object == "account"
        complete = getattr(self, "complete_onboarding", None)
        if complete:
            complete(account.id)
        return account.id

    def balance(self):
        balance = stripe.Balance.retrieve()
        assert (balance.object, balance.livemode) == ("balance", False)
        assert {part.currency for part in balance.pending} >= {"usd"}
        for _ in range(3):
            self.paid(amount=1000)
        all_of_them = [one.id for one in stripe.BalanceTransaction.list(limit=2).auto_paging_iter()][:7]
        assert len(all_of_them) == len(set(all_of_them)) == 7, "several pages, nothing twice"
        shown = stripe.BalanceTransaction.retrieve(all_of_them[0])
        assert shown.net == shown.amount - shown.fee

    def events(self):
        paid = self.paid(amount=3000)
        listed = stripe.Event.list(limit=2, types=["payment_intent.succeeded", "payment_intent.created"])
        kinds = [one.type for one in listed.auto_paging_iter() if one.data.object.id == paid.id][:2]
        assert sorted(kinds) == ["payment_intent.created", "payment_intent.succeeded"]
        newest = stripe.Event.list(limit=1).data[0]
        assert stripe.Event.retrieve(newest.id).id == newest.id

    def idempotency(self):
        key = unique()
        fields = {"amount": 1500, "currency": "usd", "payment_method_types": ["card"], "idempotency_key": key}
        first, second = stripe.PaymentIntent.create(**fields), stripe.PaymentIntent.create(**fields)
        assert first.id == second.id
        assert second.last_response.headers["Idempotent-Replayed"] == "true"
        fails(
            stripe.IdempotencyError,
            lambda: stripe.PaymentIntent.create(**{**fields, "amount": 1501}),
            http_status=400,
        )

    def errors(self):
        fails(
            stripe.InvalidRequestError,
            lambda: stripe.PaymentIntent.create(currency="usd"),
            param="amount",
            code="parameter_missing",
        )
        fails(stripe.AuthenticationError, lambda: stripe.Balance.retrieve(api_key="sk_test_wrong"), http_status=401)
        fails(stripe.PermissionError, lambda: stripe.Balance.retrieve(stripe_account="acct_none"), http_status=403)

    # What only the sandbox can be made to do.

    def planned_errors(self):
        self.control("faults", [{"on": "GET /v1/balance", "action": "rate_limited", "seconds": 3}])
        error = fails(stripe.RateLimitError, stripe.Balance.retrieve, http_status=429)
        assert error.headers["retry-after"] == "3"
        self.control("faults", [{"on": "GET /v1/balance", "action": "error_500"}])
        fails(stripe.APIError, stripe.Balance.retrieve, http_status=500)
        self.control("faults", [{"on": "POST /v1/payment_intents", "action": "timeout_after_success"}])
        key = unique()
        fields = {"amount": 1600, "currency": "usd", "payment_method_types": ["card"], "idempotency_key": key}
        fails(stripe.APIConnectionError, lambda: stripe.PaymentIntent.create(**fields))
        found = stripe.PaymentIntent.create(**fields)
        assert found.last_response.headers["Idempotent-Replayed"] == "true", "it had been carried out"
        # The library's own retries get over all of them.
        stripe.max_network_retries = 2
        self.control("faults", [{"on": "GET /v1/balance", "action": "error_500", "times": 2}])
        assert stripe.Balance.retrieve().object == "balance"
        stripe.max_network_retries = 0

    def pruned_keys(self):
        fields = {"amount": 1700, "currency": "usd", "payment_method_types": ["card"], "idempotency_key": unique()}
        first = stripe.PaymentIntent.create(**fields)
        assert self.control("keys/prune", {"older_than_seconds": 0})["pruned"] > 0
        assert stripe.PaymentIntent.create(**fields).id != first.id, "a key that was forgotten is a new one"

    def bank_debits(self):
        accepted = {"type": "online", "online": {"ip_address": "203.0.113.7", "user_agent": "Suite/1.0"}}
        mandate = {"mandate_data": {"customer_acceptance": accepted}}
        fails(stripe.InvalidRequestError, lambda: self.paid("pm_usBankAccount_success"), code="parameter_missing")
        paid = self.paid("pm_usBankAccount_success", **mandate)
        assert paid.status == "processing"
        charge = stripe.Charge.retrieve(paid.latest_charge)
        assert (charge.status, charge.payment_method_details.type) == ("pending", "us_bank_account")
        failing = self.paid("pm_usBankAccount_insufficientFunds", **mandate)
        now = datetime.datetime.fromisoformat(self.control("status", method="GET")["clock"]["now"].replace("Z", "+00:00"))
        self.control("clock", {"now": (now + datetime.timedelta(days=4)).isoformat()})
        assert stripe.PaymentIntent.retrieve(paid.id).status == "succeeded"
        failed = stripe.PaymentIntent.retrieve(failing.id)
        assert (failed.status, failed.last_payment_error.code) == ("requires_payment_method", "insufficient_funds")

    def webhooks(self):
        deadline = time.monotonic() + PATIENCE
        while self.control("status", method="GET")["undelivered_webhooks"] and time.monotonic() < deadline:
            time.sleep(0.1)
        secrets = {"/platform": PLATFORM_SECRET, "/connect": CONNECT_SECRET}
        assert {path for path, *_ in deliveries} == set(secrets), "both endpoints were told"
        kinds = set()
        for path, signature, body in deliveries:
            event = stripe.Webhook.construct_event(body, signature, secrets[path])
            kinds.add(event.type)
            assert (getattr(event, "account", None) is not None) == (path == "/connect")
        assert {"payment_intent.succeeded", "charge.refunded", "payout.created", "transfer.created"} <= kinds
        path, signature, body = deliveries[0]
        for wrong in [(body + b" ", signature, secrets[path]), (body, signature, "whsec_other")]:
            fails(stripe.SignatureVerificationError, lambda wrong=wrong: stripe.Webhook.construct_event(*wrong))
        print(f"   {len(deliveries)} signatures verified")

    # What may not be there yet: the sandbox answers that it has no such route.

    def transfer_reversals(self):
        self.paid("pm_card_bypassPending")
        account = self.account()
        transfer = stripe.Transfer.create(amount=2000, currency="usd", destination=account)
        reversal = stripe.Transfer.create_reversal(transfer.id, amount=500)
        assert (reversal.object, reversal.amount) == ("transfer_reversal", 500)
        assert stripe.Transfer.retrieve(transfer.id).amount_reversed == 500

    def account_links(self):
        account = stripe.Account.create(type="express", country="US")
        link = stripe.AccountLink.create(
            account=account.id,
            type="account_onboarding",
            refresh_url="https://example.com/again",
            return_url="https://example.com/back",
        )
        assert link.object == "account_link" and link.url

    def disputed(self):
        """The dispute about a payment that is disputed at once."""
        paid = self.paid("pm_card_createDispute")
        [dispute] = stripe.Dispute.list(payment_intent=paid.id, limit=1).data
        return dispute

    def disputes(self):
        opened = self.disputed()
        shown = stripe.Dispute.retrieve(opened.id, expand=["charge"])
        assert (shown.object, shown.status, shown.charge.disputed) == ("dispute", "needs_response", True)
        assert shown.balance_transactions[0].reporting_category == "dispute"
        assert shown.evidence_details.submission_count == 0 and not shown.evidence_details.has_evidence
        staged = stripe.Dispute.modify(
            opened.id,
            evidence={"product_description": "Work that was agreed", "customer_name": "Ada Example"},
            metadata={"suite": self.group},
            submit=False,
        )
        assert (staged.status, staged.evidence.customer_name) == ("needs_response", "Ada Example")
        assert staged.evidence_details.has_evidence and staged.metadata["suite"] == self.group
        fails(
            stripe.InvalidRequestError,
            lambda: stripe.Dispute.modify(opened.id, evidence={"product_description": "a" * 20001}),
            http_status=400,
        )
        submitted = stripe.Dispute.modify(opened.id, evidence={"uncategorized_text": "What happened"}, submit=True)
        assert (submitted.status, submitted.evidence_details.submission_count) == ("under_review", 1)
        assert submitted.evidence.product_description == "Work that was agreed", "what was staged stays"
        fails(stripe.InvalidRequestError, lambda: stripe.Dispute.close(opened.id), http_status=400)

        won = self.disputed()
        stripe.Dispute.modify(won.id, evidence={"uncategorized_text": "winning_evidence"}, submit=True)
        won = stripe.Dispute.retrieve(won.id)
        directions = [entry.amount > 0 for entry in won.balance_transactions]
        assert (won.status, directions) == ("won", [False, True])

        closed = stripe.Dispute.close(self.disputed().id)
        assert closed.status == "lost"
        fails(stripe.InvalidRequestError, lambda: stripe.Dispute.close(closed.id), http_status=400)
        fails(
            stripe.InvalidRequestError,
            lambda: stripe.Dispute.modify(closed.id, evidence={"uncategorized_text": "too late"}),
            http_status=400,
        )
        fails(stripe.InvalidRequestError, lambda: stripe.Dispute.retrieve("dp_none"), code="resource_missing")


EVERYWHERE = [
    "payment_intents",
    "three_d_secure",
    "declines",
    "charges_and_search",
    "refunds",
    "balance",
    "events",
    "idempotency",
    "errors",
]
SANDBOX_ONLY = [
    "accounts_and_transfers",
    "account_links",
    "transfer_reversals",
    "disputes",
    "planned_errors",
    "pruned_keys",
    "bank_debits",
    "webhooks",
]


def main():
    base, key, kind = sys.argv[1:4]
    if key.startswith(("sk_live_", "rk_live_")) or not key.startswith(("sk_test_", "rk_test_")):
        sys.exit("this suite moves money: it takes a test key only (sk_test_…)")
    sandbox = kind == "sandbox"
    if sandbox:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"LISTENING {server.server_address[1]}", flush=True)
        base = sys.stdin.readline().strip()
    suite = Suite(base if sandbox else None, key, sandbox)
    for name in EVERYWHERE + (SANDBOX_ONLY if sandbox else []):
        getattr(suite, name)()
        print(f"ok {name}", flush=True)
    print("DONE", flush=True)


if __name__ == "__main__":
    main()
