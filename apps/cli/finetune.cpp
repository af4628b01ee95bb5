// triarch finetune: train, starting from a model.
#include "apps/cli/command.h"

namespace triarch::cli {

Action declare_finetune(Arguments& app) {
  Action action = declare_training(app, true);
  app.footer(
      "The model's tokenizer and architecture stay; a new head is added where the objective needs one. The learning "
      "rate\n"
      "is a fifth of train's unless given. Examples:\n"
      "  triarch finetune runs/emma-causal-0001 persuasion.txt --max-steps 300\n"
      "  triarch finetune runs/emma-encoder-0001 reviews.tsv --objective classification\n"
      "  triarch finetune runs/emma-encoder-0001 tagged.jsonl --objective tagging\n"
      "  triarch finetune runs/emma-encoder_decoder-0001 pairs.tsv --objective seq2seq");
  return action;
}

}  // namespace triarch::cli
