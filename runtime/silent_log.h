#pragma once

namespace pal {

/// From now on no line of the log goes to stderr, not even a warning, whatever the level: for a
/// process that another one speaks for. A log file has them as before (runtime/log.h).
void silence_log();

}  // namespace pal
