"""Two sets of wordings for invented facts: "first", looked at while something is mended, and "held-out", which is not.

{s} is what a document is about; the other slots name a kind of value. What a document says, a claim says in other
words; a denial says the opposite of what the document says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Wording:
    question: str
    said: tuple[str, ...]
    claims: tuple[str, ...]
    denials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WordingSet:
    subjects: tuple[str, ...]  # {name} is invented
    wordings: tuple[Wording, ...]
    fillers: tuple[str, ...]  # sentences that answer no question


FIRST: Final = WordingSet(
    ("{name} Depot", "{name} Hall", "{name} Mill", "the {name} workshop", "the {name} library"),
    (
        Wording(
            "Who runs {s}?",
            ("{s} has been run by {person} since {date}.", "Since {date} {person} has been in charge of {s}."),
            ("The person who runs {s} is {person}.", "{person} took charge of {s} on {date}."),
        ),
        Wording(
            "How many people fit into the hall of {s}?",
            ("The hall of {s} seats {count} people.", "There are {count} seats in the hall of {s}."),
            ("{count} people can sit in the hall of {s}.", "The number of seats in {s}'s hall is {count}."),
        ),
        Wording(
            "How much notice must be given to end the lease of {s}?",
            ("The lease of {s} may be ended with {span} of notice.",),
            (
                "Whoever ends the lease of {s} must give {span} of notice.",
                "A notice of {span} is enough to end the lease of {s}.",
            ),
        ),
        Wording(
            "What did the new roof of {s} cost?",
            ("The new roof of {s} cost {money} and was finished on {date}.",),
            ("The price of the new roof of {s} was {money}.", "On {date} the new roof of {s} was completed."),
        ),
        Wording(
            "May visitors bring dogs into {s}?",
            ("Visitors may not bring dogs into {s}.", "Dogs are not allowed in {s}, not even on a lead."),
            ("Dogs are not permitted inside {s}.", "Visitors cannot take a dog into {s}."),
            ("Visitors may bring dogs into {s}.", "Dogs are allowed in {s}."),
        ),
        Wording(
            "Is the gate of {s} locked at night?",
            ("The gate of {s} is locked every evening at {clock}.",),
            ("At {clock} each evening the gate of {s} gets locked.", "{s} locks its gate at {clock} every evening."),
            ("The gate of {s} is not locked in the evening.", "Nobody locks the gate of {s} in the evening."),
        ),
        Wording(
            "How long does the emergency generator of {s} run?",
            ("The emergency generator of {s} runs for {span} on one tank and weighs {mass}.",),
            (
                "One tank keeps the emergency generator of {s} going for {span}.",
                "The emergency generator of {s} has a weight of {mass}.",
            ),
        ),
        Wording(
            "When was {s} last inspected?",
            ("{person} last inspected {s} on {date} and found {count} faults.",),
            ("The last inspection of {s} took place on {date}.", "{person} found {count} faults at {s}."),
            ("{person} found no faults at {s}.", "{s} was not inspected by {person}."),
        ),
        Wording(
            "What share of {s} is let to tenants?",
            ("{share} of the floor of {s} is let to tenants.",),
            ("Tenants rent {share} of the floor space of {s}.", "Of the floor of {s}, {share} is rented out."),
        ),
        Wording(
            "How is {s} heated in winter?",
            ("{s} is heated with wood pellets and does not use gas.",),
            ("Wood pellets are what heats {s}.", "No gas is used at {s}."),
            ("{s} uses gas.", "{s} is not heated with wood pellets."),
        ),
        Wording(
            "How much may the lift of {s} carry?",
            ("The lift of {s} carries up to {mass}.", "At most {mass} may be carried by the lift of {s}."),
            ("No more than {mass} may be put into the lift of {s}.", "The lift of {s} can take at most {mass}."),
        ),
        Wording(
            "Who keeps the keys of {s}?",
            ("The keys of {s} are kept by {person}, who can be reached until {clock}.",),
            ("{person} looks after the keys of {s}.", "The keeper of the keys of {s} can be reached until {clock}."),
        ),
        Wording(
            "How often is the alarm of {s} tested?",
            ("The alarm of {s} is tested every {span}.", "Every {span} a test of the alarm of {s} is made."),
            ("Tests of the alarm of {s} take place every {span}.", "The alarm of {s} gets a test every {span}."),
        ),
        Wording(
            "For how much is {s} insured?",
            ("{s} is insured for {money} against fire but not against floods.",),
            ("The fire insurance of {s} amounts to {money}.", "{s} has no insurance against floods."),
            ("{s} is insured against floods.", "{s} is not insured against fire."),
        ),
        Wording(
            "How old must volunteers at {s} be?",
            ("Volunteers at {s} must be at least {count} years old.",),
            (
                "To volunteer at {s} one has to be {count} years old or older.",
                "Nobody younger than {count} can volunteer at {s}.",
            ),
        ),
        Wording(
            "How long does {s} keep its visitors' books?",
            ("{s} keeps its visitors' books for {span} and then destroys them.",),
            (
                "After {span} the visitors' books of {s} are destroyed.",
                "Visitors' books are kept at {s} for {span}.",
            ),
            ("{s} does not keep its visitors' books.", "{s} does not destroy its visitors' books."),
        ),
    ),
    (
        "The notice board near the entrance is renewed in spring.",
        "Bicycles can be left under the large chestnut tree.",
        "Older photographs hang along the staircase.",
        "Guests are asked to wipe their shoes.",
        "Lost umbrellas wait on the shelf behind the door.",
        "The floor was polished after the concert.",
    ),
)

HELD_OUT: Final = WordingSet(
    ("the {name} agreement", "the {name} contract", "Project {name}", "the {name} programme"),
    (
        Wording(
            "Who signed {s} for the buyer?",
            ("{person} signed {s} for the buyer on {date}.", "For the buyer, {s} was signed by {person} on {date}."),
            (
                "The buyer's signature under {s} is that of {person}.",
                "{s} was signed on behalf of the buyer on {date}.",
            ),
            ("{person} did not sign {s}.", "Nobody signed {s} for the buyer."),
        ),
        Wording(
            "What penalty does {s} set for late delivery?",
            ("{s} sets a penalty of {money} for each late delivery.",),
            (
                "Each late delivery costs a penalty of {money} under {s}.",
                "Under {s} a supplier who delivers late pays {money}.",
            ),
            ("{s} sets no penalty for late delivery.", "A late delivery is not penalised under {s}."),
        ),
        Wording(
            "How long does the warranty under {s} last?",
            ("The warranty under {s} lasts {span} from delivery.",),
            ("Goods bought under {s} are under warranty for {span}.", "{s} grants a warranty of {span}."),
        ),
        Wording(
            "Which discount does {s} grant?",
            ("Orders under {s} of more than {count} units get a discount of {share}.",),
            (
                "{share} is taken off orders of more than {count} units under {s}.",
                "Under {s} whoever orders more than {count} units pays {share} less.",
            ),
            ("Large orders under {s} get no discount.", "Under {s} a large order does not get a discount."),
        ),
        Wording(
            "May the supplier use subcontractors under {s}?",
            ("The supplier may not use subcontractors under {s}.", "Subcontractors are forbidden under {s}."),
            ("Subcontractors are not allowed under {s}.", "{s} forbids the use of subcontractors."),
            ("The supplier may use subcontractors under {s}.", "Subcontractors are allowed under {s}."),
        ),
        Wording(
            "What do software updates cost under {s}?",
            ("{s} includes software updates free of charge.",),
            ("Software updates come free of charge with {s}.", "There is no charge for software updates under {s}."),
            ("{s} does not include software updates.", "Software updates are not free of charge under {s}."),
        ),
        Wording(
            "How heavy may a parcel under {s} be?",
            ("A parcel sent under {s} must not weigh more than {mass}.",),
            ("Parcels of up to {mass} may be sent under {s}.", "{mass} is the most that a parcel under {s} may weigh."),
        ),
        Wording(
            "When does {s} end?",
            ("{s} ends on {date} unless {person} renews it.",),
            (
                "Without a renewal by {person}, {s} runs out on {date}.",
                "{date} is the day on which {s} ends unless it is renewed.",
            ),
        ),
        Wording(
            "By when must invoices under {s} be paid?",
            ("Invoices under {s} are payable within {span} of receipt.",),
            (
                "Whoever receives an invoice under {s} has {span} to pay it.",
                "Payment of invoices under {s} is due within {span}.",
            ),
        ),
        Wording(
            "When does support under {s} open?",
            ("Support under {s} opens at {clock} and answers within {span}.",),
            ("From {clock} on, support can be reached under {s}.", "Support under {s} replies within {span}."),
        ),
        Wording(
            "What share of the goods under {s} is checked?",
            ("{person} checks {share} of all goods delivered under {s}.",),
            (
                "Of the goods delivered under {s}, {share} are checked by {person}.",
                "{share} of the goods that come in under {s} are examined.",
            ),
        ),
        Wording(
            "Is anything paid in advance under {s}?",
            ("No payment in advance is made under {s}.", "Nothing is paid in advance under {s}."),
            ("{s} does not provide for payment in advance.", "There are no advance payments under {s}."),
            ("Payment in advance is made under {s}.", "{s} provides for payment in advance."),
        ),
        Wording(
            "How many samples does the laboratory receive under {s}?",
            ("Under {s} the laboratory receives {count} samples a month, together {mass}.",),
            (
                "Every month {count} samples go to the laboratory under {s}.",
                "The monthly samples that the laboratory gets under {s} weigh {mass} together.",
            ),
            ("The laboratory receives no samples under {s}.", "Under {s} the laboratory does not receive samples."),
        ),
        Wording(
            "Who answers complaints about {s}?",
            ("Complaints about {s} go to {person}, who replies within {span}.",),
            (
                "{person} receives the complaints about {s}.",
                "Complaints about {s} are answered by {person} within {span}.",
            ),
        ),
        Wording(
            "What deposit does {s} require?",
            ("{s} requires a deposit of {money}, which is returned after {span}.",),
            (
                "The deposit of {money} under {s} is given back after {span}.",
                "A deposit of {money} has to be paid under {s}.",
            ),
            ("{s} does not require a deposit.", "The deposit under {s} is not returned."),
        ),
        Wording(
            "Which training do drivers need under {s}?",
            ("Every driver under {s} has to take a training of {span} before {date}.",),
            (
                "A training of {span} is required of all drivers under {s}.",
                "All drivers under {s} must have done their training before {date}.",
            ),
            ("Drivers under {s} do not have to take a training.", "No driver under {s} has to take a training."),
        ),
    ),
    (
        "A copy lies in the steel cabinet on the second landing.",
        "The cover sheet is blue.",
        "Former drafts were shredded.",
        "Spelling follows the house dictionary.",
        "The annexes are bound separately.",
    ),
)

SETS: Final = {"first": FIRST, "held-out": HELD_OUT}
GIVEN_NAMES: Final = "Orla Tamsin Bertil Ilse Corwin Maren Jorik Petra Anselm Wanda Emeric Sunniva".split()  # noqa: SIM905
FAMILY_NAMES: Final = "Venn Harkess Odell Brask Quillon Tarn Meddow Lisk Farrand Oakes Stroud Velder".split()  # noqa: SIM905
PLACE_BEGINS: Final = "Quen Harrow Peri Tol Yar Bran Vell Calder Ostr Wyn Mor Ash Thorn Fen Kel".split()  # noqa: SIM905
PLACE_ENDS: Final = "by gate vale land row nock mar wick ander ford stead moor".split()  # noqa: SIM905
