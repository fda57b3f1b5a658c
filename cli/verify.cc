#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "audit/evidence.h"
#include "audit/log_directory.h"
#include "audit/log_reader_postgres.h"
#include "audit/verify.h"
#include "audit/verify_checkpoints.h"
#include "audit/verify_evidence.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/files.h"
#include "cli/load.h"
#include "cli/log_service.h"
#include "cli/progress.h"
#include "cli/verify_kept.h"
#include "cli/verify_trust.h"
#include "officers/record_table.h"

namespace holdfast::cli {
namespace {

constexpr std::chrono::minutes kStatementTimeout{30};
// From a checkpoint in its file to the same one in the database, or to the one that follows it:
// what a step of `holdfast audit` may take, and a little more.
constexpr std::chrono::seconds kPublishedWithin{35};
constexpr std::chrono::milliseconds kLookEvery{200};
// Until a record is under a checkpoint of a service that has nothing else to do.
constexpr std::chrono::seconds kSignedWithin{3};
// Each time retention may have gone on; what is unexplained twice ends it sooner.
constexpr int kReadingsMax = 8;
constexpr unsigned kThreadsMax = 16;
constexpr std::size_t kOpenShown = 20;
constexpr std::uint64_t kEvidenceFilesMax = 1 << 22;

struct VerifyOptions {
  std::string offline;
  std::string url;
  std::string token_file;
  std::string ca_file;
  std::string save;
  std::string policy;
  std::string timestamp_ca;
  std::vector<std::string> keys;
  std::vector<std::string> checkpoints;
};

using OpenSource = std::function<Result<std::unique_ptr<audit::LogSource>>()>;

// What is to be verified, wherever it lies.
struct Subject {
  std::string what;  // For the report.
  std::string newest_checkpoint{};
  audit::VerifyPlan plan{};
  audit::Faults faults{};  // Found while it was looked for.
  std::unique_ptr<audit::EvidenceCheck> evidence{};
  // Of a database, which keeps all checkpoints: whether it has one by now that was not there
  // before.
  std::function<Result<bool>(const audit::TreeHead&)> has_checkpoint{};
  // Of a log that is written on: whether it holds more by now than the plan reads.
  std::function<bool()> has_grown{};
};

// All that one reading of the log has found.
struct Reading {
  Subject subject;
  KeptNotes kept;
  audit::EvidenceReport evidence;
  audit::LogReport report;
  bool has_keys = false;
};

unsigned threads() {
  return std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsMax);
}

// What others have said of the log, read and held against their keys. Before its checkpoint is
// read, so that a log that grows meanwhile has the checkpoints that they speak of.
Result<std::unique_ptr<audit::EvidenceCheck>> hear_evidence(const audit::EvidenceReader& read,
                                                            VerifyTrust& trust,
                                                            const std::string& save) {
  audit::EvidenceTrust believed{.threads = threads()};
  if (!trust.keys.empty()) {
    believed.origin = trust.keys.front().name;
    believed.policy = std::move(trust.policy);
    believed.timestamps = std::move(trust.timestamps);
  }
  auto check = std::make_unique<audit::EvidenceCheck>(std::move(believed));
  for (std::uint64_t number = 0; number < kEvidenceFilesMax; ++number) {
    const Result<std::string> bytes = read(number);
    if (!bytes.ok() && !audit::is_finding(bytes.error())) return bytes.error();
    if (!bytes.ok()) {
      const Error& why = bytes.error();
      if (why.code != ErrorCode::kNotFound) check->add_unread_file(why.message);
      break;
    }
    check->add_file(number, *bytes);
    if (save.empty()) continue;
    Status saved = audit::save_evidence_file(save, number, *bytes);
    if (!saved.ok()) return saved.error();
  }
  return check;
}

// A tree that is read as far as its newest checkpoint goes.
Subject subject_of(const std::string& what, const Result<std::string>& note,
                   std::span<const audit::VerifierKey> keys, OpenSource open) {
  Subject subject{.what = what};
  if (!note.ok()) {
    subject.faults.add_general(note.error().message);
    return subject;
  }
  subject.newest_checkpoint = *note;
  const std::vector<audit::FoundNote> notes = {{.note = *note, .from = "the log's checkpoint"}};
  audit::CheckedNotes checked = audit::check_notes(notes, keys, threads());
  subject.faults.add(std::move(checked.faults));
  // What nobody known has signed says nothing, least of all how much there is to read.
  if (checked.roots.empty()) return subject;
  subject.plan.entries = subject.plan.tree_size = checked.roots.front().head.size;
  subject.plan.roots = std::move(checked.roots);
  subject.plan.open = std::move(open);
  return subject;
}

Result<Subject> offline_subject(const std::string& directory, VerifyTrust& trust) {
  if (::access(directory.c_str(), R_OK | X_OK) != 0) {
    return invalid("--offline " + directory + ": no such directory, or it cannot be read");
  }
  if (!audit::holds_log(directory)) {
    return invalid("--offline " + directory + ": nothing of a log is there");
  }
  const auto open = [directory]() -> Result<std::unique_ptr<audit::LogSource>> {
    return std::unique_ptr<audit::LogSource>(std::make_unique<audit::DirectorySource>(directory));
  };
  const auto read = [&directory](std::uint64_t number) {
    return audit::read_evidence_file(directory, number);
  };
  auto evidence = hear_evidence(read, trust, {});
  if (!evidence.ok()) return evidence.error();
  Subject subject = subject_of(directory, audit::read_checkpoint_note(directory), trust.keys, open);
  subject.evidence = *std::move(evidence);
  return subject;
}

// Waits for the checkpoint over what the service has written until now.
bool has_another_checkpoint(const ServiceAccess& access, const std::string& known) {
  const auto deadline = std::chrono::steady_clock::now() + kPublishedWithin;
  std::this_thread::sleep_for(kSignedWithin);
  while (true) {
    const Result<std::string> note = fetch_checkpoint_note(access);
    if (!note.ok()) return false;
    if (*note != known) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
}

Result<Subject> service_subject(const ServiceAccess& access, VerifyTrust& trust,
                                const std::string& save) {
  auto evidence = hear_evidence(open_service_evidence(access), trust, save);
  if (!evidence.ok()) return evidence.error();
  const Result<std::string> note = fetch_checkpoint_note(access);
  if (!note.ok() && !audit::is_finding(note.error())) return note.error();
  const auto open = [access]() -> Result<std::unique_ptr<audit::LogSource>> {
    return open_service_source(access);
  };
  Subject subject = subject_of(access.url, note, trust.keys, open);
  subject.has_grown = [access, known = subject.newest_checkpoint] {
    return has_another_checkpoint(access, known);
  };
  subject.evidence = *std::move(evidence);
  return subject;
}

Result<Subject> database_subject(const config::Database& settings, VerifyTrust& trust,
                                 const std::string& save) {
  const Result<audit::Database> database =
      audit::read_database(settings.url, settings.password_file);
  if (!database.ok()) return database.error();
  const audit::DatabaseAccess access{.database = *database, .statement_timeout = kStatementTimeout};
  auto evidence = hear_evidence(audit::open_database_evidence(access), trust, save);
  if (!evidence.ok()) return evidence.error();
  Result<audit::DatabaseLog> log = audit::read_database_log(access, trust.keys, threads());
  if (!log.ok()) return log.error();
  Result<audit::Faults> guards = audit::check_database_guards(access);
  if (!guards.ok()) return guards.error();
  Result<audit::Faults> state = audit::check_database_state(access);
  if (!state.ok()) return state.error();
  Subject subject{.what = "the database",
                  .newest_checkpoint = log->newest_checkpoint,
                  .plan = {.entries = log->log_size,
                           .tree_size = log->tree_size,
                           .roots = std::move(log->roots),
                           .open_operations = std::move(log->open_operations),
                           .open = [access] { return audit::open_database_source(access); }},
                  .faults = std::move(log->faults),
                  .evidence = *std::move(evidence),
                  .has_checkpoint =
                      [access, next = log->checkpoints](const audit::TreeHead& head) {
                        return audit::has_checkpoint(access, next, head);
                      },
                  .has_grown =
                      [access, known = log->log_size] {
                        const Result<std::uint64_t> size = audit::read_log_size(access);
                        return size.ok() && *size > known;
                      }};
  // Without a key nobody says anything about who signed it (conclude()).
  if (!trust.keys.empty()) {
    subject.faults.add(audit::check_signed(subject.plan.entries, subject.plan.roots));
  }
  subject.faults.add(*std::move(guards));
  subject.faults.add(*std::move(state));
  return subject;
}

Result<Subject> find_subject(const VerifyOptions& options, const config::Config& config,
                             VerifyTrust& trust) {
  if (!options.offline.empty()) return offline_subject(options.offline, trust);
  if (!options.url.empty()) {
    return service_subject({.url = config.records.url,
                            .ca_file = config.records.ca_file,
                            .token = token_in(config.records.token_file)},
                           trust, options.save);
  }
  if (config.audit.database.url.empty()) {
    return invalid(
        "which log? Give --offline DIR, --url URL, or audit.database.url in the "
        "configuration");
  }
  return database_subject(config.audit.database, trust, options.save);
}

// Read before the log, so that it has grown to them.
Result<KeptNotes> kept_notes(const VerifyOptions& options, const config::Audit& audit) {
  Result<KeptNotes> kept = read_named_notes(options.checkpoints);
  const bool own_database = options.offline.empty() && options.url.empty();
  if (!kept.ok() || !own_database) return kept;
  if (Status added = add_own_notes(audit, *kept); !added.ok()) return added.error();
  return kept;
}

// Whether the service that wrote this into its file publishes it, or another one after it.
Result<bool> is_overcome(const audit::SignedRoot& root, const KeptNotes& kept,
                         const Subject& subject) {
  const auto deadline = std::chrono::steady_clock::now() + kPublishedWithin;
  while (true) {
    if (has_moved_on(kept)) return true;
    const Result<bool> arrived = subject.has_checkpoint(root.head);
    if (!arrived.ok() || *arrived || std::chrono::steady_clock::now() >= deadline) return arrived;
    std::this_thread::sleep_for(kLookEvery);
  }
}

// The database keeps every checkpoint that was signed. The one in the file of its service may be on
// its way there.
Status find_lacking(std::span<const audit::SignedRoot> roots, const KeptNotes& kept,
                    Subject& subject) {
  const std::string own = kept.own_file.empty() ? std::string() : kept.notes.at(kept.own_note).from;
  std::vector<audit::SignedRoot> lacking = audit::roots_lacking(roots, subject.plan.roots);
  for (auto root = lacking.begin(); root != lacking.end();) {
    Result<bool> overcome = false;
    if (root->from == own) overcome = is_overcome(*root, kept, subject);
    if (!overcome.ok()) return overcome.error();
    root = *overcome ? lacking.erase(root) : std::next(root);
  }
  for (const audit::SignedRoot& root : lacking) {
    subject.faults.add_general("the database lacks " + root.name() + ", which was signed over " +
                               std::to_string(root.head.size) + " records");
  }
  return {};
}

Status add_kept(const KeptNotes& kept, std::span<const audit::VerifierKey> keys, Subject& subject) {
  audit::CheckedNotes checked = audit::check_notes(kept.notes, keys, threads());
  subject.faults.add(std::move(checked.faults));
  if (subject.has_checkpoint) {
    if (Status found = find_lacking(checked.roots, kept, subject); !found.ok()) return found;
  }
  std::ranges::move(checked.roots, std::back_inserter(subject.plan.roots));
  return {};
}

// What others have said, as roots that the log must lead to.
audit::EvidenceReport add_evidence(Subject& subject) {
  subject.evidence->add_note(subject.newest_checkpoint);
  audit::EvidenceReport report = std::move(*subject.evidence).finish(subject.plan.tree_size);
  subject.faults.add(std::move(report.faults));
  std::ranges::move(report.roots, std::back_inserter(subject.plan.roots));
  return report;
}

void save_what_is_read(const std::string& directory, audit::VerifyPlan& plan) {
  plan.open = [open = std::move(plan.open), directory,
               size = plan.tree_size]() -> Result<std::unique_ptr<audit::LogSource>> {
    Result<std::unique_ptr<audit::LogSource>> source = open();
    if (!source.ok()) return source;
    return std::unique_ptr<audit::LogSource>(
        std::make_unique<audit::SavingSource>(*std::move(source), directory, size));
  };
}

// "index 7", "index 0 to 59"; empty: no place.
std::string place_of(const audit::Fault& fault) {
  if (!fault.index) return {};
  const std::string first = "index " + std::to_string(*fault.index);
  return fault.is_exact() ? first : first + " to " + std::to_string(fault.last);
}

// An old word holds as well as a new one, so how old it is is there to be read. The newest
// checkpoint is as old as its newest record.
void print_vouched(const char* label, const std::optional<audit::Vouched>& vouched,
                   const audit::LogReport& report) {
  if (!vouched || report.tree_size == 0) return;
  const std::uint64_t size = vouched->head.size;
  std::cout << label << "the first " << size << " records at " << to_rfc3339(vouched->time) << ", "
            << std::max(report.tree_size, size) - size << " records";
  if (report.newest) {
    const auto behind = std::max(*report.newest - vouched->time, WallTime::duration::zero());
    std::cout << " and " << std::chrono::floor<std::chrono::seconds>(behind).count() << " s";
  }
  std::cout << " behind the newest checkpoint\n";
}

void print_evidence(const audit::EvidenceReport& evidence, const audit::LogReport& report) {
  if (evidence.cosignatures > 0) {
    std::cout << "witnesses    " << evidence.cosignatures << " cosignatures hold";
    if (evidence.witnessed) {
      std::cout << "; as the policy requires for the first " << evidence.witnessed->head.size
                << " records";
    }
    std::cout << "\n";
  }
  if (evidence.timestamps > 0) {
    std::cout << "time stamps  " << evidence.timestamps << " hold\n";
  }
  print_vouched("cosigned     ", evidence.witnessed, report);
  print_vouched("stamped      ", evidence.stamped, report);
  if (evidence.unknown > 0) {
    std::cout << "not checked  " << evidence.unknown
              << " cosignatures and time stamps of nobody that is known here\n";
  }
}

void print_report(const std::string& what, const audit::LogReport& report,
                  const audit::EvidenceReport& evidence, const KeptNotes& kept, bool has_keys,
                  const audit::Faults& faults) {
  const std::uint64_t beyond = report.log_size - report.tree_size;
  std::cout << "log          " << what << "\n"
            << "records      " << report.entries << " read";
  if (beyond > 0) std::cout << ", the last " << beyond << " of them not signed over yet";
  if (report.dropped > 0) {
    std::cout << "\ndropped      " << report.dropped
              << " by retention, as records say; their hashes are there";
  }
  std::cout << "\n";
  if (report.root) {
    std::cout << "root         " << to_base64(bytes_of(*report.root)) << " over "
              << report.tree_size << "\n";
  }
  std::cout << "checkpoints  " << report.roots_agreed << " of " << report.roots
            << (has_keys ? " with a good signature agree\n"
                         : " agree, their signatures not checked\n");
  print_evidence(evidence, report);
  for (const std::string& what_not : kept.not_checked) {
    std::cout << "not checked  " << what_not << "\n";
  }
  for (const std::string& gone : kept.gone) {
    std::cout << "not checked  " << gone << ", which is gone\n";
  }
  std::cout << "calls        " << report.intents << " intents, " << report.outcomes << " outcomes, "
            << report.open.size() << " open\n";
  for (std::size_t i = 0; i < std::min(report.open.size(), kOpenShown); ++i) {
    std::cout << "open         " << to_string(report.open[i].operation_id) << ", intent at index "
              << report.open[i].intent_index << "\n";
  }
  if (report.open.size() > kOpenShown) {
    std::cout << "open         and " << report.open.size() - kOpenShown << " more\n";
  }
  for (const audit::Fault& fault : faults.list()) {
    std::cout << "FAULT        " << (fault.index ? place_of(fault) + ": " : "")
              << officers::printable(fault.what) << "\n";
  }
  if (faults.count() > faults.list().size()) {
    std::cout << "FAULT        and " << faults.count() - faults.list().size() << " more\n";
  }
}

// The last lines, and the exit code.
int conclude(const audit::Faults& faults, const KeptNotes& kept, bool has_keys) {
  if (faults.count() > 0) {
    const audit::Fault& first = faults.list().front();
    const std::string where = place_of(first);
    if (first.index) std::cout << "first bad " << where << "\n";
    std::cout.flush();
    print_error("the log is NOT in order: " + (first.index ? where + ": " : where) + first.what);
    return kFoundProblem;
  }
  std::cout.flush();
  if (!has_keys) {
    print_error(
        "nothing else is wrong, but nobody knows who signed this: name the log's verifier key with "
        "--key (holdfast keygen printed it)");
    return kUsageError;
  }
  if (!kept.gone.empty()) {
    print_error(
        "nothing else is wrong, but the log was not held against " + kept.gone.front() +
        ", which is gone: find out why; without the lock file beside it, it is not asked for");
    return kUsageError;
  }
  std::cout << "in order: no fault found\n";
  return kDone;
}

int refuse(const Error& error) {
  print_error(error.message);
  return kUsageError;
}

// From whom to believe to the last record.
Result<Reading> read_log(const VerifyOptions& options, const config::Config& config) {
  Result<VerifyTrust> trust = load_trust(options.keys, config.audit);
  if (!trust.ok()) return trust.error();
  Result<KeptNotes> kept = kept_notes(options, config.audit);
  if (!kept.ok()) return kept.error();
  Result<Subject> subject = find_subject(options, config, *trust);
  if (!subject.ok()) return subject.error();
  Status compared = add_kept(*kept, trust->keys, *subject);
  if (!compared.ok()) return compared.error();
  audit::EvidenceReport evidence = add_evidence(*subject);

  audit::LogReport report{.roots = subject->plan.roots.size()};
  if (subject->plan.open) {
    subject->plan.threads = threads();
    subject->plan.retention = {
        .partition_records = static_cast<std::uint64_t>(config.audit.log.partition_records),
        .now = system_clock().now()};
    if (!options.save.empty()) save_what_is_read(options.save, subject->plan);
    ProgressBar bar(subject->plan.entries, "records");
    subject->plan.progress = [&bar](std::uint64_t done) { bar.show(done); };
    Result<audit::LogReport> verified = audit::verify_log(std::move(subject->plan));
    bar.clear();
    if (!verified.ok()) return verified.error();
    report = *std::move(verified);
    if (!options.save.empty() && !subject->newest_checkpoint.empty()) {
      Status saved = audit::save_checkpoint_note(options.save, subject->newest_checkpoint);
      if (!saved.ok()) return saved.error();
    }
  }
  return Reading{.subject = *std::move(subject),
                 .kept = *std::move(kept),
                 .evidence = std::move(evidence),
                 .report = std::move(report),
                 .has_keys = !trust->keys.empty()};
}

bool is_still_unexplained(const audit::LogReport& before, const audit::LogReport& now) {
  return std::ranges::any_of(before.unexplained, [&](const audit::IndexRange& range) {
    const auto explained = audit::outside_of(range, now.unexplained);
    return explained.size() != 1 || explained.front() != range;
  });
}

// Retention may run meanwhile: what it takes away before it is read is explained by a record behind
// the end that was fixed first, and so by another reading, up to a later end.
Result<Reading> read_until_explained(const VerifyOptions& options, const config::Config& config) {
  Result<Reading> reading = read_log(options, config);
  for (int readings = 1; readings < kReadingsMax && reading.ok(); ++readings) {
    if (reading->report.unexplained.empty() || !reading->subject.has_grown ||
        !reading->subject.has_grown()) {
      break;
    }
    const audit::LogReport before = std::move(reading->report);
    reading = read_log(options, config);
    if (reading.ok() && is_still_unexplained(before, reading->report)) break;
  }
  return reading;
}

int run_verify(const Invocation& invocation, const VerifyOptions& options) {
  Invocation with_flags = invocation;
  with_flags.set("--url", "records.url", options.url);
  with_flags.set("--token-file", "records.token_file", options.token_file);
  with_flags.set("--ca-file", "records.ca_file", options.ca_file);
  with_flags.set("--policy", "audit.anchors.policy_file", options.policy);
  with_flags.set("--timestamp-ca", "audit.anchors.timestamp_ca_file", options.timestamp_ca);
  const auto config = load_config(with_flags);
  if (!config) return kUsageError;
  Result<Reading> reading = read_until_explained(options, *config);
  if (!reading.ok()) return refuse(reading.error());
  audit::Faults faults = std::move(reading->subject.faults);
  faults.add(std::move(reading->report.faults));
  print_report(reading->subject.what, reading->report, reading->evidence, reading->kept,
               reading->has_keys, faults);
  return conclude(faults, reading->kept, reading->has_keys);
}

// An empty one is what an unset variable of a script gives: what it was to name would be left out.
std::string needs_value(const std::string& value) {
  return value.empty() ? "needs a value" : "";
}

}  // namespace

void add_verify(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "verify", "Check the whole log: every record, hash and signature, and what it says.");
  auto options = std::make_shared<VerifyOptions>();
  CLI::Option* offline =
      command
          ->add_option("--offline", options->offline,
                       "A copy of the log: a directory laid out as C2SP tlog-tiles serves it.")
          ->type_name("DIR");
  command
      ->add_option("--url", options->url,
                   "An audit service that serves the log; your own token is records.token_file.")
      ->type_name("URL")
      ->excludes(offline);
  command
      ->add_option("--token-file", options->token_file,
                   "File that holds your API token (records.token_file).")
      ->type_name("FILE");
  command
      ->add_option("--ca-file", options->ca_file,
                   "Certificates to trust instead of the system's (records.ca_file).")
      ->type_name("FILE");
  command
      ->add_option("--key", options->keys,
                   "The key that verifies the log's checkpoints, or a file of such keys; without "
                   "it, those of audit.log.key_files and audit.log.verifier_keys, or else the "
                   "policy's.")
      ->type_name("KEY|FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--checkpoint", options->checkpoints,
                   "A checkpoint that was kept elsewhere, or an anchor file of them: the log must "
                   "still agree with it.")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option(
          "--policy", options->policy,
          "C2SP tlog-policy file: its witnesses' cosignatures must hold, and its quorum must "
          "have cosigned a checkpoint (audit.anchors.policy_file).")
      ->type_name("FILE");
  command
      ->add_option("--timestamp-ca", options->timestamp_ca,
                   "Certificates that RFC 3161 time stamps must lead to, of which there must be "
                   "one (audit.anchors.timestamp_ca_file).")
      ->type_name("FILE");
  command
      ->add_option("--save", options->save,
                   "Keep what is read as a copy that --offline can verify.")
      ->type_name("DIR")
      ->excludes(offline);
  for (CLI::Option* option : command->get_options()) {
    if (option->get_expected_min() > 0) option->check(needs_value);
  }
  command->footer(
      "Without --offline and --url it reads the database of audit.database.url, and checks what\n"
      "belongs to the log there: the search table, what protects the tables from changes, and\n"
      "whether approvals, reviews, tokens, rules, holds and operations stand where records\n"
      "brought them. It must have every checkpoint of --checkpoint, audit.log.checkpoint_file and\n"
      "audit.anchors.file.\n"
      "Exit status: 0 in order; 1 something is wrong, and what; 2 the log, its key or a kept\n"
      "checkpoint was not found.");
  runs(command, invocation, options, run_verify);
}

}  // namespace holdfast::cli
