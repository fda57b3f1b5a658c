"""What the shell sees of `holdfast`: one clear line, the right exit status, nothing started."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
BINARY = os.environ["BINARY_UNDER_TEST"]


def holdfast(*arguments, **environment):
    """(exit status, standard output, error output)"""
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith("HOLDFAST_")}
    done = subprocess.run([BINARY, *arguments], env={**clean, **environment}, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


class CommandLine(unittest.TestCase):
    def refuses(self, message, *arguments, **environment):
        status, output, error = holdfast(*arguments, **environment)
        self.assertEqual((status, output, error), (2, "", f"holdfast: {message}\n"))

    def test_help_names_every_command_and_shows_how(self):
        status, output, _ = holdfast("--help")
        self.assertEqual(status, 0)
        for command in ("proxy", "audit", "check", "classify", "explain", "migrate", "records",
                        "token", "keygen", "config"):
            self.assertRegex(output, rf"(?m)^  {command} +\S")
            self.assertEqual(holdfast(command, "--help")[0], 0)
        self.assertIn("Examples:", output)
        self.assertIn("Exit status:", output)

    def test_version(self):
        self.assertRegex(holdfast("--version")[1], r"^holdfast \d+\.\d+\.\d+\n$")

    def test_wrong_command_lines(self):
        self.refuses("A subcommand is required (see holdfast --help)")
        self.refuses("unknown: destroy (see holdfast --help)", "destroy")
        self.refuses("unknown: --rulez (see holdfast --help)", "check", "--rulez", "x")

    def test_wrong_numbers_of_generations(self):
        for number in ("0", "x", "-1", "1.5", "010", "9999999999999999999"):
            for command in (["show"], ["approve", "--sha256", "a"]):
                with self.subTest(number=number, command=command):
                    self.refuses("number: a generation's number is a whole number from 1 on, as "
                                 "`rules list` shows it (see holdfast --help)",
                                 "rules", *command, number)

    def test_an_option_of_verify_that_names_nothing_is_refused(self):
        """Without it, something else would be verified, or less."""
        for option in ("--offline", "--url", "--token-file", "--ca-file", "--key", "--checkpoint",
                       "--policy", "--timestamp-ca", "--save"):
            self.refuses(f"{option}: needs a value (see holdfast --help)", "verify", option, "")

    def test_an_erasure_says_why_before_anything_is_asked(self):
        for reason in ("", " ", "two\nlines", "x" * 2049):
            status, output, error = holdfast("retention", "erase", "a@b.c", "--reason", reason)
            self.assertEqual((status, output), (2, ""), reason)
            self.assertIn("--reason", error)
        # With one that is good, the next thing that is missing is named.
        status, _, error = holdfast("retention", "erase", "a@b.c", "--reason", "x" * 2048)
        self.assertEqual(status, 2)
        self.assertNotIn("--reason", error)

    def test_explain_knows_a_mailbox_by_its_id_with_the_tenant(self):
        guid = "ade1e000-0000-4000-8000-00000000000b"
        key = f"{guid.upper()}@d3b07384-0000-4000-8000-000000000005"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rules.yaml"
            path.write_text("schema: 1\nrevision: a\nrules:\n"
                            f"  - {{ id: hold, effect: deny, when: {{ mailbox: {guid} }} }}\n"
                            "  - { id: rest, effect: allow }\n", encoding="utf-8")
            target = "/v1.0/users/{}/messages/m1/permanentDelete"
            for options in ([target.format(key)], [target.format("a@b.c"), "--mailbox", key]):
                status, output, error = holdfast("explain", "--rules", str(path), "--format",
                                                 "json", "POST", *options)
                self.assertEqual(status, 0, error)
                self.assertEqual(json.loads(output)["by"], ["hold"], options)

    def test_explain_refuses_what_is_no_mailbox_and_no_address(self):
        call = ["POST", "/v1.0/users/a@b.c/messages/m1/permanentDelete"]
        for option in ("--mailbox", "--affected-mailbox"):
            for name in ("me", "Me"):
                self.refuses(f"{option}: me is whoever calls: name a mailbox, or say "
                             "--own-mailbox true (see holdfast --help)", "explain", *call,
                             option, "a@b.c", option, name)
            for name in ("adele", "", "a@b.c, d@e.f", "x@", "a@b.c\x1b"):
                self.refuses(f"{option}: neither a mail address nor an object id "
                             "(see holdfast --help)", "explain", *call, option, name)
        for address in ("300.1.1.1", "10.0.0.0/8", "localhost", "", "10.0.0.1 "):
            self.refuses("--source-ip: not an IP address (see holdfast --help)",
                         "explain", *call, "--source-ip", address)

    def test_explain_names_what_takes_two_rules_and_claims_no_more_than_it_tried(self):
        guid = "6a1e55aa-0000-4000-8000-000000000004"
        facts = ["--at", "2026-10-05T20:00:00Z", "--actor-app", guid, "--mailbox", "a@b.c"]
        call = ["POST", "/v1.0/users/a@b.c/messages/m1/permanentDelete", *facts]
        hold = "  - {{ id: hold, effect: deny{} }}\n"
        bot = ("  - { id: bot, effect: allow, "
               "when: { time: { from: \"08:00\", to: \"18:00\" } } }\n")
        joint = ("  allow, by bot and without hold, if:\n"
                 "      time is every day 08:00 to 18:00 (UTC) (now "
                 "2026-10-05T20:00:00.000000Z)\n"
                 "      mailbox is not a@b.c (now a@b.c)\n")
        nothing = "  nothing that was tried: no rule more, nor a looser one without the stricter\n"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rules.yaml"
            for when, told in ((", when: { mailbox: a@b.c }", joint), ("", nothing)):
                path.write_text("schema: 1\nrevision: a\nrules:\n" + hold.format(when) + bot,
                                encoding="utf-8")
                status, output, error = holdfast("explain", "--rules", str(path), *call)
                self.assertEqual((status, error), (0, ""))
                self.assertEqual(output.split("what would change the answer\n")[1], told)

    def test_check_warns_of_a_rule_that_never_opens_anything(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rules.yaml"
            path.write_text("schema: 1\nrevision: a\nrules:\n"
                            "  - { id: on-call, effect: break_glass, when: { actor: "
                            "{ group: 3f2c0a52-0000-4000-8000-000000000001 } } }\n",
                            encoding="utf-8")
            status, output, error = holdfast("check", "--rules", str(path))
        self.assertEqual((status, error),
                         (0, f"{path}: warning: actor.group is unknown in calls: rule on-call "
                             "never opens anything\n"))
        self.assertIn("ok: 1 rules", output)

    def test_text_of_rules_and_calls_moves_no_cursor_and_adds_no_line(self):
        text = "a\x1b\x7f\x9b\nforged"
        yaml = json.dumps(text)
        call = ["POST", "/v1.0/users/a@b.c/messages/m1/permanentDelete", "--folder", text]
        plain = "schema: 1\nrevision: a\nrules:\n  - { id: ask, effect: deny }\n"
        hostile = (f"schema: 1\nrevision: {yaml}\nrules:\n"
                   f"  - {{ id: ask, title: {yaml}, effect: require_approval,\n"
                   f"      require: {{ ticket: {yaml} }} }}\n"
                   f"  - {{ id: glass, effect: break_glass, require: {{ ticket: {yaml} }} }}\n"
                   "  - { id: rest, effect: allow }\n"
                   "  - { id: inbox, effect: deny, when: { folder: { in: [inbox] } },\n"
                   "      unless: { mailbox: a@b.c } }\n")
        foldered = (plain.replace("deny", "deny, when: { folder: inbox }") +
                    "  - { id: rest, effect: allow }\n")
        wrong = plain.replace("deny", f"deny, when: {{ time: {{ during: {yaml} }} }}")
        with tempfile.TemporaryDirectory() as folder:
            old, new, broken, inbox = (pathlib.Path(folder) / name
                                       for name in ("old", "new", "broken", "inbox"))
            for path, content in ((old, plain), (new, hostile), (broken, wrong), (inbox, foldered)):
                path.write_text(content, encoding="utf-8")
            for exit_status, needles, arguments in (
                    (1, ["rule ask: its title is a????forged; it was ask"],
                     ["rules", "diff", old, new]),
                    (2, ['unknown calendar "a????forged"'], ["rules", "diff", old, broken]),
                    (0, ["revision a????forged, sha256"], ["check", "--rules", new]),
                    (1, ['unknown calendar "a????forged"'], ["check", "--rules", broken]),
                    (0, ["      a????forged\n", "folder: wants inbox; is a????forged\n",
                         "  needs a ticket matching a????forged\n",
                         "    needs a ticket matching a????forged\n",
                         "(revision a????forged, sha256"], ["explain", "--rules", new, *call]),
                    (0, ["(now a????forged)"], ["explain", "--rules", inbox, *call])):
                status, output, error = holdfast(*map(str, arguments))
                self.assertEqual(status, exit_status, output + error)
                self.assertNotRegex(output + error, r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
                self.assertNotRegex(output + error, r"(?m)^forged")
                for needle in needles:
                    self.assertIn(needle, output + error)

    def test_wrong_configuration_starts_no_role(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "holdfast.yaml"
            path.write_text("proxy:\n  lisen: 127.0.0.1:0\n", encoding="utf-8")
            problem = f'{path}:2: proxy.lisen: unknown key "lisen"'
            for command in (["proxy"], ["audit"], ["migrate"], ["check"], ["records", "search"],
                            ["config", "dump"]):
                with self.subTest(command):
                    self.refuses(problem, *command, "--config", str(path))
                    self.refuses(problem, *command, HOLDFAST_CONFIG=str(path))
                    self.refuses("HOLDFAST_PROXY__LISEN: unknown environment variable", *command,
                                 HOLDFAST_PROXY__LISEN="x")
                    self.refuses("/nonexistent: the file is missing or cannot be read", *command,
                                 "--config", "/nonexistent")

    def test_roles_name_the_key_they_miss(self):
        for command, key in ((["proxy"], "proxy.spool_dir"), (["audit"], "audit.tokens_file"),
                             (["migrate"], "migrate.database.url"), (["check"], "rules.file"),
                             (["records", "search"], "records.token_file")):
            status, output, error = holdfast(*command)
            self.assertEqual((status, output), (2, ""))
            self.assertTrue(error.startswith(f"holdfast: {key}: missing; "), error)
            self.assertEqual(error.count("\n"), 1)

    def test_options_may_stand_after_the_command(self):
        status, output, _ = holdfast("config", "dump", "--set", "proxy.threads=7",
                                     HOLDFAST_PROXY__THREADS="6")
        self.assertEqual(status, 0)
        self.assertIn("  threads: 7  # --set\n", output)

    def test_example_and_schema_are_the_ones_in_the_tree(self):
        self.assertEqual(holdfast("config", "example")[1],
                         (ROOT / "config/holdfast.example.yaml").read_text(encoding="utf-8"))
        schema = holdfast("config", "schema")[1]
        self.assertEqual(schema, (ROOT / "schema/config.schema.json").read_text(encoding="utf-8"))
        self.assertFalse(json.loads(schema)["additionalProperties"])

    def test_the_containers_configuration_loads(self):
        status, output, error = holdfast("config", "dump", "--config",
                                         str(ROOT / "docker/holdfast.yaml"))
        self.assertEqual((status, error), (0, ""))
        self.assertIn(f"  file: {ROOT}/docker/rules/rules.yaml  # ", output)


if __name__ == "__main__":
    unittest.main()
