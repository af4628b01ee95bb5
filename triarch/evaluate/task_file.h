// Choice tasks of the user: files of questions, one JSON object per line.
//
//   {"prompt": "Two and two make", "candidates": ["four", "five"], "answer": "four"}
//   {"task": "who", "template": 2, "context": "Ann has the ball.", "question": "Who has it?",
//    "candidates": ["Ann", "Bob"], "answer": 0}
//
//   field         other names                        what
//   prompt        inputs, question, query, goal      what precedes the answer; a space is put between them
//   context       passage                            may precede the prompt, which alone is then what `bare` asks
//   candidates    choices, options, endings; or      two or more; the same twice is one
//                 sol1, sol2 ...; choice1 ...
//   answer        gold, label                        number of the candidate, from 0, or the candidate itself
//   task                                             its name; else that of the file
//   template                                         number or name of the prompt template
//   held_out                                         true: no model may have been trained on it
//
// Files of the shapes of lm-evaluation-harness and of MosaicML's gauntlet {query, choices, gold} can be read as they
// are; so can PIQA's, whose answers stand in a file of their own (valid.jsonl, valid-labels.lst).
#pragma once

#include <filesystem>
#include <vector>

#include "triarch/evaluate/choice.h"

namespace triarch {

// One task for each name and template, in the order of the file; `wrapper` counts a task's templates from 0. .gz and
// .zst are decompressed. Errors (usage) name the file and the line; a task has a context in all of its lines or in
// none.
std::vector<ChoiceTask> read_task_file(const std::filesystem::path& path);

}  // namespace triarch
