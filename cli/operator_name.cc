#include "cli/operator_name.h"

#include <pwd.h>
#include <unistd.h>

#include <array>

#include "base/encoding.h"

namespace holdfast::cli {

std::string operator_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  const uid_t user = ::geteuid();
  const passwd* login = ::getpwuid(user);
  const std::string name = login != nullptr ? login->pw_name : std::to_string(user);
  return to_text(name + "@" + host.data());
}

}  // namespace holdfast::cli
