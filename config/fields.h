// The one table of configuration keys. Reading, overriding, checking, dumping, the example and the
// schema are all loops over it: a new key is a member of Config and one row here.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace holdfast::config {

// The kinds of values. `at` finds the member; a value in a file, in a schema or in a dump is JSON.

struct TextKind {
  std::string& (*at)(Config&);
};
// A file that must be readable by the roles that use its section.
struct FileKind {
  std::string& (*at)(Config&);
};
struct DirectoryKind {
  std::string& (*at)(Config&);
};
// A file that Holdfast makes and keeps itself.
struct StateFileKind {
  std::string& (*at)(Config&);
};
// Files that must be readable by the roles that use their section.
struct FileListKind {
  std::vector<std::string>& (*at)(Config&);
};
struct DatabaseUrlKind {
  std::string& (*at)(Config&);
};
// With a path, if it is to have one.
struct UrlKind {
  std::string& (*at)(Config&);
};
struct OriginKind {
  std::string& (*at)(Config&);
};
struct HttpProxyKind {
  std::string& (*at)(Config&);
};
struct EndpointKind {
  Endpoint& (*at)(Config&);
};
struct CidrListKind {
  std::vector<std::string>& (*at)(Config&);
};
// Legal holds of eDiscovery by their ids in Graph: CASE/HOLD, or CASE for all of a case.
struct HoldListKind {
  std::vector<std::string>& (*at)(Config&);
};
// Keys that verify a log, as `holdfast keygen` prints them: NAME+ID+KEY.
struct VerifierKeyListKind {
  std::vector<std::string>& (*at)(Config&);
};
// Client certificates' names and their apps: NAME TENANT/APP.
struct CertificateListKind {
  std::vector<CertificateApp>& (*at)(Config&);
};
struct CountKind {
  int& (*at)(Config&);
  int min;
  int max;
};
struct BytesKind {
  std::size_t& (*at)(Config&);
  std::size_t min;
  std::size_t max;
};
struct DurationKind {
  milliseconds& (*at)(Config&);
  milliseconds min;
  milliseconds max;
};
// true or false.
struct FlagKind {
  bool& (*at)(Config&);
};
// One of a few words; an enum's values are their positions in `names`.
struct ChoiceKind {
  int (*get)(const Config&);
  void (*set)(Config&, int);
  std::vector<std::string> names;
  std::vector<std::string> not_built;  // Words of the design that are refused by name.
};

using Kind = std::variant<TextKind, FileKind, FileListKind, DirectoryKind, StateFileKind,
                          DatabaseUrlKind, UrlKind, OriginKind, HttpProxyKind, EndpointKind,
                          CidrListKind, HoldListKind, VerifierKeyListKind, CertificateListKind,
                          CountKind, BytesKind, DurationKind, FlagKind, ChoiceKind>;

struct Field {
  std::string path;
  Kind kind;
  std::string meaning;
  std::string example = "";          // For keys without a default.
  std::vector<Role> needed_by = {};  // Roles that do not run while it is empty.
};

struct Section {
  std::string path;
  std::string meaning;
};

const std::vector<Field>& fields();
// The sections at the top, in the order of the example.
const std::vector<Section>& sections();

const Field* find_field(std::string_view path);
// Whether some key's path begins with this one and a dot.
bool is_section(std::string_view path);

// The key's environment name.
std::string environment_name(std::string_view path);

// Stores a value as a file has it. kInvalid: "must be …", without the place.
Status set_value(const Field& field, Config& config, const nlohmann::json& value);
// Stores a value as an environment variable or --set has it: lists are separated by commas.
Status set_text(const Field& field, Config& config, const std::string& text);

// The value as a file would have it.
nlohmann::json get_value(const Field& field, Config config);

// The JSON Schema of the value, without its default.
nlohmann::ordered_json value_schema(const Field& field);

}  // namespace holdfast::config
