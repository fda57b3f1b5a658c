// Who runs a command on this machine, for the record of it. A claim: whoever may connect to the
// database may make another.
#pragma once

#include <string>

namespace holdfast::cli {

// login@host
std::string operator_name();

}  // namespace holdfast::cli
