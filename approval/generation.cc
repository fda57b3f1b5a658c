#include "approval/generation.h"

#include "approval/rule_model.h"
#include "base/crypto.h"

namespace holdfast::approval {
namespace {

using nlohmann::json;

constexpr std::size_t kSentencesMax = 50;  // What a record has room for.

json naming(const GenerationName& generation) {
  return {{"generation", generation.number},
          {"revision", generation.revision},
          {"sha256", generation.sha256}};
}

json shortened(const std::vector<std::string>& sentences) {
  if (sentences.size() <= kSentencesMax) return sentences;
  json shown = std::vector<std::string>(sentences.begin(), sentences.begin() + kSentencesMax);
  shown.push_back("and " + std::to_string(sentences.size() - kSentencesMax) + " more");
  return shown;
}

}  // namespace

json generation_change(std::string_view event, const GenerationName& generation,
                       const std::optional<GenerationName>& active) {
  json change = naming(generation);
  change["event"] = event;
  if (active) change["before"] = naming(*active);
  return change;
}

json generation_offer(std::int64_t number, const RuleSet& rules,
                      const std::vector<std::string>& loosens, PeopleNeeded people,
                      const std::optional<GenerationName>& active) {
  const bool waits = people == PeopleNeeded::kTwo && !loosens.empty();
  json change = generation_change(
      waits ? "offered" : "activated",
      {.number = number, .revision = rules.revision(), .sha256 = rules.sha256()}, active);
  change["loosens"] = shortened(loosens);
  change["people"] = people == PeopleNeeded::kTwo ? 2 : 1;
  json files = json::array();
  for (const SourceFile& file : *rules.data().sources) {
    files.push_back({{"name", file.name}, {"sha256", to_hex(sha256(file.bytes))}});
  }
  change["files"] = std::move(files);
  return change;
}

}  // namespace holdfast::approval
