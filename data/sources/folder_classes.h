#pragma once
#include <string>
#include <vector>

#include "data/sources/folder_index.h"

namespace pal {

/// Throws usage, naming folder and classes, for fewer than two classes or a class without pictures.
/// `name` is the root's, for messages.
void expect_filled_classes(const FolderIndex& index, const std::string& name);

/// The first class with pictures that is not among `classes`; empty if there is none.
std::string first_other_class(const FolderIndex& index, const std::vector<std::string>& classes);

/// Gives the pictures of a part the labels of the classes of another one, by name: those of
/// `whose`, a folder. Class folders without a picture do not count. Warns of classes that have no
/// picture here. Throws usage for a class that `classes` lacks, and if there is no picture at all.
void adopt_classes(FolderIndex& index, const std::string& name,
                   const std::vector<std::string>& classes, const std::string& whose);

}  // namespace pal
