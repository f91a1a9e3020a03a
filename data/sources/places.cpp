#include "data/sources/places.h"

#include <cstdlib>

namespace pal {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::vector<std::string> data_places(const std::string& name,
                                     const std::vector<std::string>& standard) {
  std::vector<std::string> places;
  if (const std::string own = variable("PALINDROME_DATA"); !own.empty()) {
    places.push_back(own + "/" + name);
    places.push_back(own);
  }
  places.insert(places.end(), standard.begin(), standard.end());
  return places;
}

std::string cache_folder() {
  if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty())
    return cache + "/palindrome";
  const std::string home = variable("HOME");
  return home.empty() ? "" : home + "/.cache/palindrome";
}

}  // namespace pal
