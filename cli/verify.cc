#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "audit/log_directory.h"
#include "audit/log_key.h"
#include "audit/log_reader_postgres.h"
#include "audit/verify.h"
#include "audit/verify_checkpoints.h"
#include "base/encoding.h"
#include "base/files.h"
#include "cli/load.h"
#include "cli/log_service.h"
#include "cli/progress.h"

namespace holdfast::cli {
namespace {

constexpr std::size_t kNoteBytesMax = 1024 * 1024;
constexpr std::chrono::minutes kStatementTimeout{30};
constexpr unsigned kThreadsMax = 16;
constexpr std::size_t kOpenShown = 20;

struct Options {
  std::string offline;
  std::string url;
  std::string token_file;
  std::string ca_file;
  std::string save;
  std::vector<std::string> keys;
  std::vector<std::string> checkpoints;
};

using OpenSource = std::function<Result<std::unique_ptr<audit::LogSource>>()>;

// What is to be verified, wherever it lies.
struct Subject {
  std::string what;  // For the report.
  std::string newest_checkpoint;
  audit::VerifyPlan plan;
  audit::Faults faults;  // Found while it was looked for.
};

unsigned threads() {
  return std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsMax);
}

Error usage(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

// A key as text, or a file with one on each line.
Status add_keys(const std::string& text, std::vector<audit::VerifierKey>& keys) {
  Result<audit::VerifierKey> key = audit::VerifierKey::parse(text);
  if (key.ok()) {
    keys.push_back(*std::move(key));
    return {};
  }
  const Result<std::string> lines = read_file(text, kNoteBytesMax, Readers::kAnyone);
  if (!lines.ok()) return usage("--key " + text + ": neither a verifier key nor a file of them");
  std::istringstream stream(*lines);
  for (std::string line; std::getline(stream, line);) {
    if (line.empty()) continue;
    Result<audit::VerifierKey> in_file = audit::VerifierKey::parse(line);
    if (!in_file.ok()) return usage("--key " + text + ": " + in_file.error().message);
    keys.push_back(*std::move(in_file));
  }
  return {};
}

// Those that were named; else those that this configuration's audit service signs with.
Result<std::vector<audit::VerifierKey>> verifier_keys(const Options& options,
                                                      const config::LogTree& log) {
  std::vector<audit::VerifierKey> keys;
  for (const std::string& text : options.keys) {
    if (Status added = add_keys(text, keys); !added.ok()) return added.error();
  }
  if (!keys.empty() || log.key_files.empty()) return keys;
  const auto signers = audit::load_log_keys(log.key_files, log.origin);
  if (!signers.ok()) return signers.error();
  for (const audit::NoteSigner& signer : *signers) keys.push_back(signer.verifier());
  return keys;
}

// A tree that is read as far as its newest checkpoint goes.
Subject subject_of(const std::string& what, const Result<std::string>& note,
                   std::span<const audit::VerifierKey> keys, OpenSource open) {
  Subject subject{.what = what, .newest_checkpoint = {}, .plan = {}, .faults = {}};
  if (!note.ok()) {
    subject.faults.add_general(note.error().message);
    return subject;
  }
  subject.newest_checkpoint = *note;
  const std::vector<audit::FoundNote> notes = {{.note = *note, .from = "the log's checkpoint"}};
  audit::CheckedNotes checked = audit::check_notes(notes, keys, threads());
  subject.faults.add(std::move(checked.faults));
  // Also where its signature is wrong, so that what else is wrong is found.
  const Result<audit::Checkpoint> read = audit::read_checkpoint(*note);
  if (read.ok()) subject.plan.entries = subject.plan.tree_size = read->head.size;
  subject.plan.roots = std::move(checked.roots);
  subject.plan.open = std::move(open);
  return subject;
}

Result<Subject> offline_subject(const std::string& directory,
                                std::span<const audit::VerifierKey> keys) {
  if (::access(directory.c_str(), R_OK | X_OK) != 0) {
    return usage("--offline " + directory + ": no such directory, or it cannot be read");
  }
  const auto open = [directory]() -> Result<std::unique_ptr<audit::LogSource>> {
    return std::unique_ptr<audit::LogSource>(std::make_unique<audit::DirectorySource>(directory));
  };
  return subject_of(directory, audit::read_checkpoint_note(directory), keys, open);
}

Result<Subject> service_subject(const ServiceAccess& access,
                                std::span<const audit::VerifierKey> keys) {
  const Result<std::string> note = fetch_checkpoint_note(access);
  if (!note.ok() && !audit::is_finding(note.error())) return note.error();
  const auto open = [access]() -> Result<std::unique_ptr<audit::LogSource>> {
    return open_service_source(access);
  };
  return subject_of(access.url, note, keys, open);
}

Result<Subject> database_subject(const config::Database& settings,
                                 std::span<const audit::VerifierKey> keys) {
  const Result<audit::Database> database =
      audit::read_database(settings.url, settings.password_file);
  if (!database.ok()) return database.error();
  const audit::DatabaseAccess access{.database = *database, .statement_timeout = kStatementTimeout};
  Result<audit::DatabaseLog> log = audit::read_database_log(access, keys, threads());
  if (!log.ok()) return log.error();
  Result<audit::Faults> guards = audit::check_database_guards(access);
  if (!guards.ok()) return guards.error();
  Subject subject{.what = "the database",
                  .newest_checkpoint = log->newest_checkpoint,
                  .plan = {.entries = log->log_size,
                           .tree_size = log->tree_size,
                           .roots = std::move(log->roots),
                           .open = [access] { return audit::open_database_source(access); }},
                  .faults = std::move(log->faults)};
  subject.faults.add(*std::move(guards));
  return subject;
}

Result<Subject> find_subject(const Options& options, const config::Config& config,
                             std::span<const audit::VerifierKey> keys) {
  if (!options.offline.empty()) return offline_subject(options.offline, keys);
  if (!options.url.empty()) {
    return service_subject({.url = config.records.url,
                            .ca_file = config.records.ca_file,
                            .token = token_in(config.records.token_file)},
                           keys);
  }
  if (config.audit.database.url.empty()) {
    return usage(
        "which log? Give --offline DIR, --url URL, or audit.database.url in the "
        "configuration");
  }
  return database_subject(config.audit.database, keys);
}

// Checkpoints that somebody kept elsewhere, which the log must still agree with.
Status add_kept_checkpoints(const Options& options, const config::LogTree& log,
                            std::span<const audit::VerifierKey> keys, Subject& subject) {
  std::vector<audit::FoundNote> notes;
  for (const std::string& path : options.checkpoints) {
    Result<std::string> note = read_file(path, kNoteBytesMax, Readers::kAnyone);
    if (!note.ok()) return usage("--checkpoint: " + note.error().message);
    notes.push_back({.note = *std::move(note), .from = "the checkpoint in " + path});
  }
  const bool own_database = options.offline.empty() && options.url.empty();
  if (own_database && !log.checkpoint_file.empty()) {
    Result<std::string> note = read_file(log.checkpoint_file, kNoteBytesMax, Readers::kAnyone);
    if (note.ok()) {
      notes.push_back(
          {.note = *std::move(note), .from = "the checkpoint in " + log.checkpoint_file});
    }
  }
  audit::CheckedNotes checked = audit::check_notes(notes, keys, threads());
  subject.faults.add(std::move(checked.faults));
  std::ranges::move(checked.roots, std::back_inserter(subject.plan.roots));
  return {};
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

void print_report(const Subject& subject, const audit::LogReport& report,
                  const audit::Faults& faults) {
  const std::uint64_t beyond = subject.plan.entries - subject.plan.tree_size;
  std::cout << "log          " << subject.what << "\n"
            << "records      " << report.entries << " read";
  if (beyond > 0) std::cout << ", the last " << beyond << " of them not signed over yet";
  std::cout << "\nroot         " << to_base64(bytes_of(report.root)) << " over "
            << subject.plan.tree_size << "\n"
            << "checkpoints  " << report.roots_agreed << " of " << subject.plan.roots.size()
            << " with a good signature agree\n"
            << "calls        " << report.intents << " intents, " << report.outcomes << " outcomes, "
            << report.open.size() << " open\n";
  for (std::size_t i = 0; i < std::min(report.open.size(), kOpenShown); ++i) {
    std::cout << "open         " << to_string(report.open[i].operation_id) << ", intent at index "
              << report.open[i].intent_index << "\n";
  }
  if (report.open.size() > kOpenShown) {
    std::cout << "open         and " << report.open.size() - kOpenShown << " more\n";
  }
  for (const audit::Fault& fault : faults.list()) {
    std::cout << "FAULT        " << (fault.index ? place_of(fault) + ": " : "") << fault.what
              << "\n";
  }
  if (faults.count() > faults.list().size()) {
    std::cout << "FAULT        and " << faults.count() - faults.list().size() << " more\n";
  }
}

// The last lines, and the exit code.
int conclude(const audit::Faults& faults, bool has_keys) {
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
  std::cout << "in order: no fault found\n";
  return kDone;
}

int refuse(const Error& error) {
  print_error(error.message);
  return kUsageError;
}

int run_verify(const Invocation& invocation, const Options& options) {
  Invocation with_flags = invocation;
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) with_flags.settings.push_back(std::string(key) + "=" + value);
  };
  set("records.url", options.url);
  set("records.token_file", options.token_file);
  set("records.ca_file", options.ca_file);
  const auto config = load_config(with_flags);
  if (!config) return kUsageError;
  const Result<std::vector<audit::VerifierKey>> keys = verifier_keys(options, config->audit.log);
  if (!keys.ok()) return refuse(keys.error());
  Result<Subject> subject = find_subject(options, *config, *keys);
  if (!subject.ok()) return refuse(subject.error());
  Status kept = add_kept_checkpoints(options, config->audit.log, *keys, *subject);
  if (!kept.ok()) return refuse(kept.error());

  audit::LogReport report;
  if (subject->plan.open) {
    subject->plan.threads = threads();
    if (!options.save.empty()) save_what_is_read(options.save, subject->plan);
    ProgressBar bar(subject->plan.entries, "records");
    subject->plan.progress = [&bar](std::uint64_t done) { bar.show(done); };
    Result<audit::LogReport> verified = audit::verify_log(subject->plan);
    bar.clear();
    if (!verified.ok()) return refuse(verified.error());
    report = *std::move(verified);
    if (!options.save.empty() && !subject->newest_checkpoint.empty()) {
      Status saved = audit::save_checkpoint_note(options.save, subject->newest_checkpoint);
      if (!saved.ok()) return refuse(saved.error());
    }
  }
  audit::Faults faults = std::move(subject->faults);
  faults.add(std::move(report.faults));
  print_report(*subject, report, faults);
  return conclude(faults, !keys->empty());
}

}  // namespace

void add_verify(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "verify", "Check the whole log: every record, hash and signature, and what it says.");
  auto options = std::make_shared<Options>();
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
                   "it, that of audit.log.key_files.")
      ->type_name("KEY|FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--checkpoint", options->checkpoints,
                   "A checkpoint that was kept elsewhere: the log must still agree with it.")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--save", options->save,
                   "Keep what is read as a copy that --offline can verify.")
      ->type_name("DIR")
      ->excludes(offline);
  command->footer(
      "Without --offline and --url it reads the database of audit.database.url, and checks what\n"
      "belongs to the log there: the search table and what protects the tables from changes.\n"
      "Exit status: 0 in order; 1 something is wrong, and what; 2 the log or its key was not "
      "found.");
  runs(command, invocation, options, run_verify);
}

}  // namespace holdfast::cli
