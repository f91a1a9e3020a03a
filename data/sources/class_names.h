#pragma once
#include <string>
#include <vector>

namespace pal {

/// Class names from a file, in the order of their labels. One of
/// - lines of UTF-8, one name each;
/// - a JSON list of names;
/// - a JSON object {"0": "name", ...} or {"0": ["id", "name"], ...}, as ImageNet's index comes.
/// Names are labels for people: those that several classes share (ImageNet's "crane") get their id
/// (JSON) or number in brackets. Blank lines at the end do no harm. Throws data, with line or byte,
/// for other blank lines, control characters, text that is not UTF-8, JSON of another form, numbers
/// that are not 0 to n - 1, and no name at all.
std::vector<std::string> read_class_names(const std::string& path);

/// Where a folder of shards has the names of its classes.
inline constexpr const char* kClassFile = "classes.txt";
/// The names in a folder's kClassFile, or nothing if it has no such file. Throws as
/// `read_class_names`.
std::vector<std::string> class_names_in(const std::string& folder);

/// Names for class folders. A list of the folders themselves leaves them as they are. If the file
/// has an id for every folder (lines "ID NAME", as in LOC_synset_mapping.txt, or a JSON object with
/// ids), names go by id, the same whichever of the folders are there; else by place, and the counts
/// must agree. Throws usage with both counts if they do not, or naming the first folder that a file
/// whose every line begins with a folder leaves out; data for an id of a folder that several
/// entries have; else as `read_class_names`.
std::vector<std::string> class_names_for(const std::vector<std::string>& folder_names,
                                         const std::string& path);

/// The names in "a,b,c"; nothing for an empty text. Throws usage, beginning with `option`, for an
/// empty one among several or one that is there twice.
std::vector<std::string> listed_names(const std::string& list, const std::string& option);

/// Up to five names as a message can hold them: "a, b, c, d, e and 2 more".
std::string some_names(const std::vector<std::string>& names);

/// The classes of two sets side by side, for messages: "model: a, b; data: b, c". `one` and
/// `other` say whose they are.
std::string class_name_lists(const std::string& one, const std::vector<std::string>& names,
                             const std::string& other, const std::vector<std::string>& other_names);

}  // namespace pal
