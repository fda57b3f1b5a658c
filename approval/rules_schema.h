// The published JSON Schema of rule files (schema/rules.schema.json), built into the program.
#pragma once

#include <string_view>

namespace holdfast::approval {

std::string_view rules_schema();

}  // namespace holdfast::approval
