"""Phrases that address an assistant rather than a reader, in six languages: data for `ingest.suspicion`.

They are matched against folded text (small letters, no accents, look-alikes made Latin) and are folded themselves.
A blank stands for any white space, emphasis marks, commas or hyphens; a line break with its indentation for nothing.
They are meant to be rare in prose about anything else:
a plain "ignore the rules" or "you are now a member" is not among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of phrase."""

    tells: str  # completes "Words that ..." in the finding
    triggers: tuple[str, ...]  # small letters, one in each match: the expression is tried only around them
    expression: str


_IGNORE: Final = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|override|bypass|overlook|neglect|discard|abandon"
    r"|do not (?:follow|obey)|don.?t (?:follow|obey)|stop (?:following|obeying)|pay no attention to)"
)
_FILLER: Final = r"(?:all|any|every|each|the|of|these|those|your|my|our|its|to|about|other|and|safety|security) "
_ORDERS: Final = (
    r"(?:instructions?|prompts?|rules?|directions?|guidelines?|commands?|directives?|orders?|constraints?"
    r"|programming|training|restrictions?)"
)
_MACHINE: Final = (
    r"(?:ai|a\.i\.|llm|gpt|chatgpt|chat ?bot|bot|language model|ai model|virtual assistant|ai assistant"
    r"|ai agent)"
)
_HUMAN: Final = r"(?:user|human|reader|operator|person asking)"
_TOLD: Final = r"(?:system (?:prompt|message|instructions?)|initial (?:prompt|instructions?)|hidden (?:prompt|rules))"

PATTERNS: Final = (
    # -- English ---------------------------------------------------------------------------------------------------
    Pattern(
        "revoke an assistant's instructions",
        ("ignor", "disregard", "forget", "overrid", "bypass", "overlook", "neglect", "discard", "abandon",
         "not follow", "n't follow", "stop follow", "obey", "no attention to"),
        rf"""
        \b{_IGNORE} (?:(?:{_FILLER}){{0,6}}(?:previous|prior|preceding|earlier|above|former|foregoing|original
        |initial|system|openai)(?:ly given)? (?:\w+ ){{0,2}}?(?:{_ORDERS}|messages?|conversations?|context)\b
        |(?:all|any) (?:(?:of|your|the|these|those|my|other) ){{0,2}}(?:instructions?|prompts?|directives)\b
        |(?:all )?(?:of )?your (?:\w+ ){{0,2}}?(?:instructions?|prompts?|guidelines|programming|training
        |directives|restrictions|rules)\b|(?:{_FILLER}){{0,3}}{_ORDERS} (?:(?:given|written|stated|provided
        |shown) )?(?:above|before this|so far|you (?:were|have been|ve been|had been) (?:given|told))\b|(?:all
        |everything) (?:that )?(?:(?:was|is|came|you (?:were|have been|ve been) told) )?(?:above|before(?! \w)
        |previously (?:said|stated))\b|everything (?:you (?:were|have been|ve been|know|learned|learnt)
        |i said)\b)
        """,
    ),
    Pattern(
        "give an assistant new instructions",
        ("instructions:", "instruction:", "directive:", "directives:", "prompt:", "override", "to ai", "for ai",
         "the ai", "all ai", "any ai", "llm", "chatbot", "language model", "instructions instead",
         "instructions only", "orders only", "commands only", "orders instead", "commands instead", "rules only",
         "rules instead"),
        r"""
        (?:^|\n|[.!\]>*#=-])\s*(?:(?:your|here are|the following are) )?(?:(?:new|updated|revised|hidden|secret
        |important) (?:system )?(?:instructions?|directives?|prompt)(?: (?:for|to) (?:the |any |all )?(?:you|ai
        |llm|assistant|model|chatbot)s?)?)\s*:|\b(?:instructions?|note|message|notice|attention|reminder
        |warning) (?:for|to) (?:the |any |all |an )?(?:ai|llm|llms|chatbots?|language models?
        |large language models?|ai (?:assistants?|models?|agents?|systems?|reviewers?))\b\s*[:,.!(-]|\b(?:system
        |admin|administrator|developer|security|priority) override\b\s*[:,.!]|\bfollow (?:only )?(?:these
        |the following|my|the new) (?:new )?(?:instructions|orders|commands|rules) (?:instead|only\b)
        """,
    ),
    Pattern(
        "speak to an assistant",
        ("gpt", "llm", "language model", "ai,", "ai.", "ai!", "ai:", "ai assist", "ai model", "ai agent",
         "ai system", "ai review", "ai language", "ai chat", "assistant", "chatbot", "copilot", "gemini", "claude",
         "bard", "are an ai", "are ai", "hey model", "dear model"),
        r"""
        \b(?:hey|hello|hi|dear|attention|listen|ok|okay),? (?:all )?(?:chat ?gpt|gpt|chatbots?|ai|ais|llms?
        |claude|copilot|gemini|bard|(?:ai )?(?:assistants?|models?|agents?)|language models?)\s*[,.!:]
        |\bif you are (?:an? |the )?(?:(?:large )?language model|ai|llm|chatbot|(?:ai|virtual) (?:assistant
        |model|agent))\b|\bas an? (?:(?:large )?language model|ai (?:language )?(?:model|assistant|agent|chatbot
        |system|reviewer)|llm)(?: \w+){0,3},? (?:you\b|i (?:can|must|do|am|have|will)\b)|\b(?:ai|llm|chatbot
        |ai (?:assistant|model|agent)|(?:large )?language model)s?\s*[:,] (?:please )?(?:ignore|disregard|do not
        |don.?t|you (?:must|should|are|will)|stop|answer|respond|reply|recommend)\b
        """,
    ),
    Pattern(
        "give an assistant another role",
        ("you are now", "you re now", "you're now", "from now on", "act as", "act like", "act to be", "pretend",
         "behave", "respond as", "answer as", "reply as", "respond like", "answer like", "roleplay", "role-play",
         "role play", "anything now", "in character", "developer mode", "debug mode", "admin mode",
         "maintenance mode", "jailbr", "immerse", "simulate", "imitate", "broken free", "unfiltered",
         "unrestricted", "amoral", "uncensored", "not bound by", "no restrictions"),
        rf"""
        \byou(?: are|.?re) now (?:(?:going to|to) (?:act|pretend|respond|answer|behave)\b|dan\b|unrestricted\b
        |unfiltered\b|jailbroken\b|evil\b|free (?:of|from) (?:all |any |your |the )?(?:restrictions|rules
        |constraints|limitations)|no longer (?:bound by|an? {_MACHINE}|restricted by|limited by)\b
        |(?:operating |entering |running )?(?:in |into )?(?:an? |the )?(?:developer
        |maintenance|debug|admin|god|dan|jailbreak|unrestricted|root) mode\b
        |(?:an? |the |my )?(?:[\w-]+ ){{0,3}}?(?:{_MACHINE}
        |assistant|hacker|pirate|persona)\b)|\bfrom now on,? you (?:will|are|must|should|shall|have to|ll
        |can)\b(?: (?:now|always|only|be|going|to|not|also))* (?:act|respond|answer|reply|behave|pretend|speak
        |talk|write|roleplay|obey|ignore|refer|call|play|say|start|an? )|\b(?:i want you to|i need you to
        |i would like you to|i.?d like you to|you (?:will|must|are to|are going to|should|shall)|please
        |let.?s) (?:now )?(?:act|pretend|role-?play|behave|simulate|imitate|respond|answer) (?:as|to be|that you
        |like|being)\b(?!\s+(?:soon|follows?|appropriate|quickly|a result|much|well|required|possible))|\b(?:act
        |pretend|behave|respond|answer|reply) (?:as|to be|like) (?:if you (?:are
        |were) )?(?:an? |the )?(?:[\w-]+ ){{0,4}}?{_MACHINE}\b
        |\bdo anything now\b|\bstay in character\b|\b(?:enter|enable|activate|switch to
        |enabled?) (?:the )?(?:developer|debug|maintenance|jailbreak|god|dan|admin) mode\b(?=.{{0,80}}\b(?:you
        |chatgpt|prompt|enabled|assistant)\b)|\bdeveloper mode (?:enabled|output)\b|\bjailbr(?:eak
        |oken) (?:of )?(?:chatgpt|prompt|{_MACHINE})\b|\b(?:chatgpt|gpt|{_MACHINE}
        |you) (?:\w+ ){{0,3}}broken free\b|\bimmerse yourself into the role\b|\byou are (?:an? )?(?:unfiltered
        |unrestricted|amoral|uncensored|jailbroken)\b|\byou are not bound by (?:any|the|its
        |your) |\byou have no restrictions\b
        |\bunfiltered (?:and \w+ )?(?:ai|response|answer|chatbot|language model)s?\b
        """,
    ),
    Pattern(
        "ask for an assistant's instructions",
        ("prompt", "system message", "system instruction", "initial instruction", "your instruction",
         "own instruction", "hidden rules", "the instructions", "instructions you", "instructions that you",
         "entire conversation", "text above", "text you were", "above text", "above instruct", "words above",
         "everything above", "full instructions", "original instructions", "hidden instructions",
         "secret instructions"),
        rf"""
        \b(?:reveal|print|show|output|repeat|display|leak|disclose|dump|expose|share|write|encode|translate
        |return|recite|summari[sz]e|see|tell me|give me|what(?: i|.)s|what (?:are|is|was|were)) (?:(?:me|us|out
        |here|all|of|full|entire|complete|everything in|opposite of|exact) ){{0,4}}(?:(?:the|your|my
        |its) (?:(?:own|original|full|entire|complete|exact|opposite of|your|initial|starting|hidden
        |secret) ){{0,4}}{_TOLD}\b|your (?:(?:own|original|full|initial|starting|hidden|secret
        |exact) ){{0,2}}(?:instructions|prompt)\b(?! (?:for|on|to|in|about|with))|(?:the )?(?:instructions
        |prompt) (?:that )?you (?:were|have been) given\b|(?:the )?text (?:you were given|above in full
        |above verbatim)|the above (?:text|prompt|instructions) (?:but|verbatim|word for word)
        |(?:this |the )?entire conversation back)
        |\b(?:your|the|this|following|hidden|full|entire|new|current|my|in
        |of) (?:\w+ )?system[\s_-]*prompt\b(?! (?:you|the user|for) )|\bsystem prompt(?: is)?\s*:|\b(?:repeat
        |output|print) (?:the )?(?:words|text|everything) above\b|\brepeat the instructions\b
        """,
    ),
    Pattern(
        "ask an assistant to keep something from its user",
        ("the user", "to user", "the human", "the reader", "the operator", "person asking", "these instructions",
         "this prompt", "this message", "this instruction", "you were told", "have been told", "above instruct",
         "above prompt", "above message"),
        rf"""
        \b(?:do not|don.?t|never|must not|without) (?:ever |you )?(?:tell(?:ing)?|inform(?:ing)?|mention(?:ing)?
        |reveal(?:ing)?|notify(?:ing)?|alert(?:ing)?|disclos(?:e|ing)|warn(?:ing)?
        |let(?:ting)?) (?:(?:any of |of )?(?:this
        |it|anything|these instructions|that) )?(?:to )?(?:the )?{_HUMAN}\b(?! (?:name|id|interface|group|role
        |account|agent)s?\b)(?!s)|\bdo not (?:mention|reveal|disclose|repeat) (?:these|this|the above
        |that you (?:were|have been)) (?:instructions?|prompt|message|told)\b|\bkeep (?:this
        |these instructions) (?:a )?(?:secret|hidden) from (?:the )?{_HUMAN}\b
        """,
    ),
    Pattern(
        "prescribe an assistant's answer",
        ("only with", "exclusively with", "solely with", "just with", "with only", "with just", "nothing but",
         "with exactly", "in the form", "respond to", "reply to", "answer to", "answer with", "respond with",
         "reply with", "nothing else", "nothing more", "respond in", "reply in", "answer in", "answer every",
         "answer all", "your answer", "your response", "your repl", "your output", "response with", "reply by",
         "replies with", "responses with", "responses by", "response by", "output with", "answers with",
         "only respond", "only reply", "only answer", "positive review", "any negatives", "refuse to answer"),
        r"""
        \b(?:respond|reply|answer) (?:(?:only|exclusively|solely|just) (?:with|in the form)|with (?:only|just
        |nothing but|exactly)|to (?:every|all|each|any) (?:\w+ ){0,2}(?:questions?|quer(?:y|ies)|messages?
        |prompts?|requests?|inputs?) (?:with|by)|(?:in|with) (?:two|2) (?:\w+ )?(?:ways|responses))\b
        |\bonly (?:respond|reply|answer) with\b|\b(?:start|begin|end|preface
        |prefix) (?:all |each |every |any )?(?:of )?(?:your
        |the) (?:answers?|response|responses|repl(?:y|ies)|output|messages?|sentences?) (?:with|by)\b
        |\byour (?:\w+ )?(?:answers?|responses?|repl(?:y|ies)|output) (?:must|should|will
        |shall) (?:always |only )?(?:start
        |begin|end|only be)\b|\b(?:say|print|output|write|reply with
        |respond with)\b[^.\n]{1,60}\b(?:and nothing else|and nothing more)\b
        |\bgive (?:only )?a positive review only\b|\bpositive review only\b|\bdo not highlight any negatives\b
        |\brefuse to answer (?:any|all|every)\b[^.\n]{0,30}\bquestions?\b[^.\n]{0,40}\buntil\b
        """,
    ),
    Pattern(
        "ask an assistant to send something away",
        ("http", "www.", "![", "attacker", "webhook"),
        r"""
        \b(?:send|post|forward|upload|transmit|exfiltrate|submit|append|leak|email|encode|include|add
        |attach)\b[^.\n]{0,80}?\b(?:conversations?|chat(?: history)?|user.?s? (?:data|e-?mails?|questions?
        |passwords?|messages?|names?|input|quer(?:y|ies))|system prompt|context window|these documents
        |this document|previous messages|retrieved (?:documents?|passages?)|api keys?|passwords?|credentials
        |secrets)\b[^.\n]{0,80}?\b(?:to|at|into|in|as)\b[^.\n]{0,30}?\b(?:https?://|www\.)
        |!\[[^\]\n]{0,200}\]\(\s*https?://[^)\s]{0,300}[?&=/](?:\{|<|\[|%7b|\$)|\b(?:answer|response
        |reply) [^.\n]{0,60}!\[[^\]\n]{0,200}\]\(\s*https?://
        """,
    ),
    Pattern(
        "imitate the marks of an assistant's roles or tools",
        ("<|", "[inst", "[/inst", "<<sys", "start_of_turn", "tool_", "function_", "system:", "system prompt",
         "system message", "system instruction", "system note", "system_", "system-prompt", "system-message",
         "system-reminder", "system-instruction", "# system", "#system", "instruction:", "instructions:",
         "assistant:", "response:", "human:", "user:", "ai:", "[system", "[developer", "[admin",
         "developer message", "developer prompt", "developer instruction", "developer note", "assistant_",
         "user_query", "user_message", "hidden_instruction", "hidden instruction", "admin instruction",
         "admin prompt", "user prompt", "user input", "untrusted input"),
        r"""
        <\|\s?(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id
        |begin_of_text|end_of_text|end|endofprompt|channel|message)\s?\|>|\[/?inst\]|<</?sys>>|</?start_of_turn>
        |(?:^|\n)\s*#{1,6}\s*(?:system(?: (?:prompt|message|instructions?))?|instructions?|assistant|response
        |human|user)\s*:|</?(?:tool_(?:call|calls|result|response|use)|function_(?:call|calls|result|results)
        |system[_-](?:prompt|message|reminder|instructions?)|assistant_(?:response|message)|user_(?:query
        |message)|hidden_instructions?)\b[^>\n]{0,80}>|\[(?:system|developer|admin)(?: (?:prompt|message|note
        |override|instructions?))?\]\s*:?\s*(?:you|ignore|the|new|from|disregard|always|do)\b|(?:^
        |\n)\s*(?:system|developer) (?:message|prompt|instructions?|note)\s*:|(?:^|\n)\s*(?:system
        |assistant)\s*:\s*(?:you (?:are|must|will|should|have)|ignore|disregard|from now|new instructions
        |the user (?:has|is|wants)|i (?:will|can|am)|sure|of course)\b|(?:^|\n)\s*(?:human
        |user)\s*:[^\n]{1,150}\n+\s*(?:assistant|ai)\s*:|\b(?:begin|start|end) (?:of )?(?:the )?(?:system|hidden
        |admin|untrusted|user) (?:prompt|instructions?|input)\s*[-=\]>*#]
        """,
    ),
    # -- German ----------------------------------------------------------------------------------------------------
    Pattern(
        "address an assistant in German",
        ("anweisung", "instruktion", "befehl", "vorherig", "vorig", "bisherig", "fruheren", "vorangeg", "vorherg",
         "obige", "vorsteh", "ursprunglich", "alles", "systemprompt", "system-prompt", "system prompt",
         "sprachmodell", "du bist", "bist du", "ab jetzt", "ab sofort", "von nun an", "nutzer", "antworte",
         "deinen prompt", "richtlinien", "eine ki", "als ki", "die ki", "chatbot"),
        r"""
        \b(?:ignorieren?|ignoriert|vergiss|vergessen|missachten?|verwirf|(?:beachten?
        |befolgen?)(?: sie)? (?:nicht|keine)) (?:sie )?(?:bitte )?(?:(?:alle|allen|jede|die|deine|ihre|diese
        |meine|samtliche|aller) ){0,4}(?:(?:vorherigen?|vorigen?|bisherigen?|fruheren?|vorangegangenen?
        |vorhergehenden?|obigen?|vorstehenden?|ursprunglichen?|anderen?) )(?:\w+ ){0,2}?(?:anweisung(?:en)?
        |instruktion(?:en)?|befehle?|regeln?|vorgaben?|nachrichten|prompts?|eingaben)\b|\b(?:ignorieren?|vergiss
        |missachten?) (?:sie )?(?:alle )?(?:deine|ihre|alle) (?:anweisungen|instruktionen|befehle|richtlinien)\b
        |\b(?:ignoriere|vergiss) alles,? (?:was|davor|vorher|bisher)|\bdu bist (?:jetzt|nun|ab jetzt|ab sofort
        |von nun an) (?:ein[e]?|mein[e]?|der|die|kein[e]?) (?:\w+ ){0,3}?(?:ki|assistent(?:in)?|bot|chatbot
        |modell|sprachmodell|hacker|pirat)\b|\b(?:ab jetzt|ab sofort|von nun an) (?:antwortest|verhaltst|bist
        |sprichst|agierst) du\b|\b(?:zeig|zeige|verrate|nenne|gib|drucke|wiederhole|offenbare
        |offenlege)n?(?: sie)? (?:mir |uns )?(?:(?:den|deinen|deine|die|ihre|ihren
        |alle) ){0,2}(?:system-?\s?prompt|system-?\s?anweisung(?:en)?|anweisungen|prompt)\b|\b(?:sag|sage|verrate
        |erzahle?|erwahne|teile?|informiere)n?(?: sie)? (?:es |das |dies )?(?:dem
        |den|der) (?:be)?nutzer(?:in)? (?:\w+ ){0,3}?(?:nicht|nichts)\b|\bantworte (?:nur
        |ausschliesslich) (?:noch )?mit\b|\bwenn du (?:eine ki|ein sprachmodell|ein ki)\b
        |\bals ki-?\s?(?:sprachmodell|assistent|modell),? (?:musst|sollst|wirst|darfst) du\b
        |\b(?:anweisung(?:en)?|hinweis|nachricht) (?:fur|an) (?:die |den |das )?(?:ki|sprachmodelle?
        |ki-?\s?assistent(?:en)?|chatbots?)\s*[:,.!]
        """,
    ),
    # -- French ----------------------------------------------------------------------------------------------------
    Pattern(
        "address an assistant in French",
        ("precedent", "anterieur", "ci-dessus", "initiale", "consignes", "tes instructions", "vos instructions",
         "tes regles", "vos regles", "plus haut", "recues", "ce qui precede", "systeme", "maintenant", "desormais",
         "l'utilisat", "reponds", "repondez", "modele de langage", "ton prompt", "votre prompt", "si tu es",
         "si vous etes", "en tant qu"),
        r"""
        \b(?:ignor(?:e|ez|er)|oubli(?:e|ez|er)|ne (?:tiens|tenez) (?:pas|aucun) compte(?: de)?|ne (?:suis
        |suivez) (?:pas|plus)) (?:de )?(?:(?:toutes|tous|les|tes|vos|ces|mes|des|l.ensemble des|toute
        |autres) ){0,3}(?:(?:precedentes?|anterieures?|initiales?) )?(?:instructions?|consignes?|regles
        |directives|ordres|commandes|messages) (?:\w+ ){0,2}?(?:precedente?s?|anterieure?s?|ci-?\s?dessus
        |initiale?s?|donnees? (?:avant|plus haut)|recues)\b|\b(?:ignor(?:e|ez)|oubli(?:e|ez)) (?:toutes )?(?:tes
        |vos) (?:instructions|consignes|regles)\b|\b(?:oublie|ignore)z? tout ce qui precede\b|\b(?:tu es
        |vous etes) (?:maintenant|desormais) (?:une? |mon |le |la )(?:[\w-]+ ){0,3}?(?:ia|assistant|bot|chatbot
        |modele|pirate|hacker)\b|\b(?:a partir de maintenant|desormais),? (?:tu (?:dois|vas|reponds|es)
        |vous (?:devez|allez|repondez)) (?:\w+ ){0,2}?(?:repondre|agir|te comporter|vous comporter|ignorer
        |uniquement)\b|\b(?:revele|affiche|montre|donne|imprime|repete|divulgue)[rz]?(?:-?\s?(?:moi
        |nous))? (?:(?:le|la|ton|tes|votre|vos|les|toutes) ){0,3}(?:(?:prompt|invite|instructions?
        |message) (?:de |du )?(?:systeme|initiale?s?)|(?:tes|vos) instructions|(?:ton|votre) prompt)\b
        |\b(?:prompt|invite|message|instructions?) (?:du )?systeme\s*:|\b(?:le|ton|votre) prompt systeme\b
        |\bne (?:le |la |l.)?(?:dis|dites|revele|revelez|mentionne|mentionnez|signale|signalez|parle
        |parlez) (?:pas|rien|jamais) (?:(?:cela|ceci|ca|en) )?(?:de (?:cela|ceci) )?a l.utilisat(?:eur|rice)\b
        |\b(?:reponds|repondez) (?:uniquement|seulement|exclusivement) (?:par|avec)\b|\bsi (?:tu es
        |vous etes) (?:une? )?(?:ia|modele de langage|assistant (?:ia|virtuel))\b|\ben tant qu.(?:ia
        |assistant ia|modele de langage)\b.{0,20}\b(?:tu|vous) (?:dois|devez)\b
        """,
    ),
    # -- Spanish ---------------------------------------------------------------------------------------------------
    Pattern(
        "address an assistant in Spanish",
        ("anterior", "previas", "previos", "previa ", "previo ", "inicial", "de arriba", "recibidas",
         "tus instruc", "sus instruc", "tus direc", "tus regl", "ahora eres", "de ahora", "desde ahora",
         "en adelante", "sistema", "tu prompt", "al usuario", "solo con", "solamente", "unicamente",
         "exclusivamente", "modelo de lenguaje", "si eres"),
        r"""
        \b(?:ignor(?:a|e|en|ad|ar)|olvid(?:a|e|en|ar)(?:te)?|haz caso omiso|no sigas|descart(?:a
        |e)) (?:de )?(?:(?:todas|todos|las|los|tus|sus|estas|esas|mis|cualquier) ){0,3}(?:(?:anteriores|previas
        |iniciales) )?(?:instrucci(?:ones|on)|reglas|indicaciones|ordenes|directrices|mensajes
        |directivas) (?:\w+ ){0,2}?(?:anterior(?:es)?|previ[ao]s?|inicial(?:es)?|de arriba|recibidas)\b
        |\b(?:ignor(?:a|e)|olvid(?:a|e)) (?:todas )?(?:tus|sus) (?:instrucciones|directrices|reglas)\b
        |\b(?:ignora|olvida) todo lo anterior\b|\bahora eres (?:una? |mi |el |la )?(?:[\w-]+ ){0,3}?(?:ia
        |asistente|bot|chatbot|modelo|pirata|hacker|dan)\b|\b(?:a partir de ahora|desde ahora
        |de ahora en adelante),? (?:(?:tu|solo|siempre) )?(?:responder|respondes|actua|actuaras|eres|seras
        |te comporta|debes (?:responder|actuar))|\b(?:revel|muestr|imprim|repit|dime|dame|ensen)\w* (?:(?:el|tu
        |tus|las|todas|me|su|sus) ){0,3}(?:(?:prompt|mensaje|instrucciones) (?:del? sistema|inicial(?:es)?)
        |tus instrucciones|tu prompt)\b|\b(?:prompt|mensaje|instrucciones) del sistema\s*:|\b(?:el
        |tu) prompt del? sistema\b|\bno (?:se )?(?:lo |le )?(?:digas?|reveles?|menciones?|informes?|cuentes?
        |avises?) (?:(?:nada|esto|eso|nunca) )?(?:de esto )?al usuario\b|\brespond(?:e|a|er) (?:solo|solamente
        |unicamente|exclusivamente) con\b|\bsi eres (?:una? )?(?:ia|modelo de lenguaje|asistente (?:de ia
        |virtual))\b
        """,
    ),
    # -- Russian ---------------------------------------------------------------------------------------------------
    Pattern(
        "address an assistant in Russian",
        ("игнорир", "забудь", "не обращай", "не следуй", "инструкци", "промпт", "теперь ты", "ты теперь",
         "с этого момента", "пользовател", "отвечай", "языковая модель"),
        r"""
        \b(?:про)?игнориру(?:й|йте) (?:(?:все|всё|любые|эти|свои|твои|мои|остальные) ){0,3}(?:(?:предыдущие
        |прежние|прошлые|вышеуказанные|вышеизложенные|предшествующие|исходные
        |начальные) )?(?:\w+ ){0,1}?(?:инструкции|указания|правила|команды|сообщения|распоряжения|предписания)\b
        |\b(?:забудь|забудьте|не следуй|не следуйте|не обращай внимания на|не выполняй) (?:(?:все|всем|про|о
        |свои|твои|эти) ){0,3}(?:(?:предыдущие|предыдущих|предыдущим|прежние|прошлые|прошлым|вышеуказанные
        |исходные) )?(?:инструкци(?:и|ям|ях)|указания|указаниям|правила|правилам|команды)\b|\b(?:забудь
        |игнорируй) (?:всё|все),? что (?:было|написано|сказано|ты)\b|\b(?:теперь ты|ты теперь
        |отныне ты) (?:- )?(?:[\w-]+ ){0,3}?(?:ассистент|помощник|бот|чат-?\s?бот|модель|ии|хакер|пират
        |dan)\b|\b(?:с этого момента|отныне|с этой минуты),? ты (?:будешь|должен|должна|отвечаешь|обязан)\b
        |\b(?:покажи|раскрой|выведи|напечатай|повтори|сообщи|напиши)(?:те)? (?:(?:мне|свой|свои|твой|твои|весь
        |все|системный|системные|исходные|полный|ваши) ){1,4}(?:промпт|инструкции|указания)\b|\bсистемн(?:ый|ого
        |ому|ым) промпт\w*|\bсистемные инструкции\s*:|\bне (?:говори|сообщай|рассказывай|упоминай|раскрывай
        |показывай)(?:те)? (?:(?:об этом|это|этого|ничего) )?пользователю\b|\bотвечай(?:те)? (?:только
        |исключительно) (?:словом|словами|фразой|так|на|в формате|одним)\b|\bесли ты (?:- )?(?:ии
        |языковая модель|ассистент|искусственный интеллект)\b
        """,
    ),
    # -- Chinese ---------------------------------------------------------------------------------------------------
    Pattern(
        "address an assistant in Chinese",
        ("忽略", "无视", "忘记", "忘掉", "不要遵", "忽視", "無視",
         "忘記", "系统提示", "系統提示", "你现在是", "你現在是", "从现在开始", "從現在開始",
         "用户", "用戶", "使用者", "只回答", "只回复", "只能回答", "只回覆", "语言模型", "語言模型", "人工智能助"),
        r"""
        (?:忽略|无视|忽視|無視|忘记|忘記|忘掉|不要遵守|不要遵循|不要理会)\W?(?:掉)?(?:你)?(?:所有
        |全部|一切|任何|之前|以前|先前|以上|上面|上述|前面|此前|原有|你的|的|这些
        |那些|給你|给你|收到){1,6}\W?(?:的)?(?:所有|全部|任何|系统|系統)?(?:指令|指示|提示|命令
        |规则|規則|说明|說明|要求|内容|內容|对话|對話|设定|設定)|(?:你现在是
        |你現在是)(?:一个|一個)?.{0,8}(?:助手|机器人|機器人|模型|ai|黑客)|(?:从现在开始|從現在開始
        |从现在起|從現在起),?，?你(?:将|要|必须|是|只|需要|就是|會|会)
        |(?:显示|顯示|输出|輸出|告诉我|告訴我|透露|泄露|打印|重复|重複|复述|公开).{0,6}(?:系统提示
        |系統提示|系统指令|初始指令|你的指令|你的提示|提示词|提示詞)|系统提示词|系統提示詞
        |(?:系统|系統)(?:提示|指令|消息)\s*[:：]|(?:不要|别|請勿|请勿|切勿|不得|不能
        |勿)(?:把.{0,8})?(?:告诉|告訴|告知|透露给|通知|提醒|向)(?:该
        |当前)?(?:用户|用戶|使用者)(?!名|数|數|们|們|隐|信)|(?:只|仅|只能|只需)(?:回答|回复|回覆
        |输出)[「“\"'『:：]|(?:如果|若)你是(?:一个|一個)?(?:ai
        |人工智能|大?语言模型|大?語言模型)
        """,
    ),
)  # fmt: skip
