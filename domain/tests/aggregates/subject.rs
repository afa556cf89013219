//! Who reads a person's data. It has one state, and every reading is told; the api decides who may.

use domain::event::DomainEvent;
use domain::subject::{AccessPurpose, PersonalField, Subject, SubjectCommand as C};

use super::{actors, after, client_id, now, table};
use domain::actor::{Actor, StaffRole};
use domain::id::PartyId;
use domain::rules::{Context, Rules};
use domain::subject::SubjectEvent;

fn read() -> C {
    C::RecordAccess {
        subject_id: client_id(),
        purpose: AccessPurpose::SupportRequest,
        fields: vec![PersonalField::Email],
    }
}

/// B.14: every reading by staff is told, also the same one again; nobody else reads.
#[test]
fn who_reads_personal_data() {
    let staff = actors()[5].1;
    let states = [("never read", Subject::default()), ("read", after(&[(staff, read())]))];
    insta::assert_snapshot!(table(&states, &[("RecordAccess", read())], DomainEvent::Subject), @r"
    RecordAccess by client, client as payee, payee, payee as client, outsider
      never read, read: refused not_found
    RecordAccess by staff
      never read, read: subject.pii_accessed
    RecordAccess by system
      never read, read: refused forbidden
    ");
}

/// B.14: the event names reader, person, purpose and fields, whatever the role.
#[test]
fn a_reading_names_its_reader() {
    let reader = PartyId::from_uuid(super::id(99));
    for role in StaffRole::ALL {
        let context = Context { now: now(), actor: Actor::Staff(role, reader) };
        let told = Subject::default().decide(&read(), &context).unwrap();
        let expected = SubjectEvent::PiiAccessed {
            subject_id: client_id(),
            staff_id: reader,
            purpose: AccessPurpose::SupportRequest,
            fields: vec![PersonalField::Email],
        };
        assert_eq!(told, vec![expected]);
    }
}
