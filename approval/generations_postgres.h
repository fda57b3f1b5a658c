// The generations of rules in PostgreSQL (schema/*_generations.sql): read, and their files kept.
// They change by records only (generation.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "approval/generation.h"
#include "approval/generation_source.h"
#include "audit/queries_session_postgres.h"
#include "audit/query_workers_postgres.h"
#include "base/uuid.h"

namespace holdfast::approval {

// As a proxy asks. Calls block; for one thread, but for interrupt(). Errors: those of
// audit::DatabaseSession.
class Generations {
 public:
  explicit Generations(audit::DatabaseAccess access) : session_(std::move(access)) {}

  // How the files of a proxy stand to what is known.
  struct Standing {
    std::int64_t active = 0;  // 0: none is.
    std::string active_sha256;
    std::int64_t newest = 0;  // The highest number given out.
    std::int64_t same = 0;    // The newest generation with that digest; 0: none has.
    std::string same_state;   // pending, active, superseded, rejected
    std::string source;       // What that proxy's files were when it last looked; empty: it is new.
  };
  Result<Standing> standing(const Uuid& writer, const std::string& sha256);

  // Keeps the bytes of all files and how new they are, before a record names them.
  Status keep(const SourceFiles& files);
  // Notes what that proxy's files are, where they are no offer.
  Status note_source(const Uuid& writer, const std::string& sha256);

  struct InForce {
    std::int64_t active = 0;     // 0: none is.
    std::string files_modified;  // Changes when one of its files is seen that is newer.
    std::int64_t waiting = 0;    // The newest that waits for an admin; 0: none does.
    std::int64_t recovered = 0;  // One that waits and whoever owns the database lets take effect.
    std::string recovered_sha256;
    std::string recovery;  // JSON: by whom, when and why.
    bool operator==(const InForce&) const = default;
  };
  Result<InForce> in_force();

  // The files of one; none: there is no such generation.
  Result<SourceFiles> files(std::int64_t number);

  // From any thread: breaks off what runs and fails what comes, for good.
  void interrupt() { session_.interrupt(); }

 private:
  audit::DatabaseSession session_;
};

// Lets a generation that waits take effect without an admin's approval, as whoever owns the
// database: the first proxy that sees it does so, with a record that names `person` and the reason.
// kNotFound: none of that number and hash waits. Errors of the database as above.
struct Recovery {
  std::int64_t number = 0;
  std::string sha256;
  std::string person;
  std::string reason;
};
Status recover_generation(const audit::Database& database, const Recovery& recovery);

// As officers ask.
class PostgresGenerationSource final : public GenerationSource {
 public:
  // The workers must outlive it.
  explicit PostgresGenerationSource(audit::QueryWorkers& workers) : workers_(workers) {}

  Task<Result<std::optional<StoredGeneration>>> find(std::int64_t number) override;
  Task<Result<std::optional<GenerationName>>> active() override;
  Task<Result<std::vector<StoredGeneration>>> list(std::optional<std::int64_t> below,
                                                   int at_most) override;
  Task<Result<SourceFiles>> files(std::int64_t number) override;
  Task<Result<std::vector<std::string>>> changes(std::int64_t number) override;
  Task<Result<RuledNow>> decide(Facts facts) override;

 private:
  audit::QueryWorkers& workers_;
};

}  // namespace holdfast::approval
